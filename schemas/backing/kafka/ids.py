"""Topic ids as Kafka itself prints them: 22 characters of URL-safe base64 (org.apache.kafka.common.Uuid).

Every place that learns an id from the client goes through here, so that registry, positions and tables agree.
"""


def topic_id_text(told: object) -> str:
    """Return the id that confluent-kafka told as Kafka's text; librdkafka prints the ordinary alphabet."""
    return str(told).replace("+", "-").replace("/", "_")
