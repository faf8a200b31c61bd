"""Apache Kafka in KRaft mode as plain child processes: fetched, formatted, started, awaited, stopped.

Lives here: the broker of the local start and of the test stack. May not live here: clients (schemas/backing/kafka.py).
KRaft: https://kafka.apache.org/documentation/#kraft
"""

from deploy.local.kafka.broker import Broker
from deploy.local.kafka.config import BrokerConfig, JvmOptions
from deploy.local.kafka.fetch import KAFKA_VERSION, Progress, Runtime, cache_dir, ensure_runtime

__all__ = [
    "KAFKA_VERSION",
    "Broker",
    "BrokerConfig",
    "JvmOptions",
    "Progress",
    "Runtime",
    "cache_dir",
    "ensure_runtime",
]
