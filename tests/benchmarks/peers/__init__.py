"""The writer beside the Apache Iceberg sink of Kafka Connect: same payloads, same broker, same catalog and files.

Lives here: workloads, both sinks' processes, what they used. Not here: figures of one program alone (../measure.py).
The comparison's terms: ../README.md.
"""
