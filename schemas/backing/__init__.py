"""The I/O tier (backing services): registry database, Kafka, lake, health endpoints. Nothing pure imports it."""
