"""One Iceberg table: made, read for its state, and committed to, exactly once. See sinks/table/README.md."""
