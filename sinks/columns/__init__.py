"""Which columns a payload becomes: shapes, names, limits, widening. Pure: no Kafka, no SQL, no catalog."""
