"""What every Kafka client of this cluster needs: addresses and credentials.

https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

import logging
from typing import Any

from schemas.errors import ConfigurationError
from schemas.settings.processes import KafkaSettings


def client_config(settings: KafkaSettings) -> dict[str, Any]:
    """Return librdkafka properties for confluent clients; raises `ConfigurationError` on half a SASL set-up."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "client.id": "hookberg",
        "log.connection.close": False,
        "logger": logging.getLogger("librdkafka"),  # else it writes to stderr past our logs
    }
    if settings.kafka_ssl_ca_file is not None:
        config["ssl.ca.location"] = str(settings.kafka_ssl_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        if not (settings.kafka_sasl_mechanism and settings.kafka_sasl_username and settings.kafka_sasl_password):
            raise ConfigurationError(
                "HOOKBERG_KAFKA_SECURITY_PROTOCOL wants SASL: set HOOKBERG_KAFKA_SASL_MECHANISM, "
                "HOOKBERG_KAFKA_SASL_USERNAME and HOOKBERG_KAFKA_SASL_PASSWORD"
            )
        config["sasl.mechanism"] = settings.kafka_sasl_mechanism
        config["sasl.username"] = settings.kafka_sasl_username
        config["sasl.password"] = settings.kafka_sasl_password.get_secret_value()
    return config
