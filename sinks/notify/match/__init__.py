"""Which webhook wants which event, and who receives it; pure. The tables of both: README.md here."""
