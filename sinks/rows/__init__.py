"""Records into Arrow rows and back: parse, salvage, system columns, rebuild. Pure: no Kafka, no SQL, no catalog."""
