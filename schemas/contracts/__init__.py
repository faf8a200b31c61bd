"""JSON Schema contracts: compile once, validate many, compare versions; formats are not asserted."""
