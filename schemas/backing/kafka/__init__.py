"""Kafka for everybody: how clients are configured, topics made, offsets asked. No producer, no consumer.

Lives here: client_config (config.py), Topics (topics.py), layout, errors. Names: schemas/topics.py.
"""

from schemas.backing.kafka.config import client_config
from schemas.backing.kafka.errors import fatal
from schemas.backing.kafka.ids import topic_id_text
from schemas.backing.kafka.topics import TopicInfo, Topics

__all__ = ["TopicInfo", "Topics", "client_config", "fatal", "topic_id_text"]
