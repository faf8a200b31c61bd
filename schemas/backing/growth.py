"""Ledger and run topics grow by one range of partitions when a group first gets a topic of the tenant (rule 4).

Lives here: the order of steps. Which topics lack one: registry/objects/topics.py; adding partitions: kafka/topics.py.
"""

from typing import Protocol

from schemas.backing.registry import Actor, Registry, TopicRecord


class Grower(Protocol):
    """What adds partitions; implemented by schemas.backing.kafka.Topics."""

    def grow(self, topic: TopicRecord, partitions: int) -> TopicRecord:
        """Give a topic that many partitions, wait for their leaders; return it as it is then. Blocking."""


def grow(registry: Registry, kafka: Grower, tenant: str, actor: Actor) -> None:
    """Give each group of a tenant its range in the tenant's topics; called after a raw or run topic was stored.

    Both callers look after they have stored theirs, so that of two at once one sees the other's. Raises what `Topics`
    raises; whoever calls again goes on.
    """
    for topic, partitions in registry.topics.short(tenant):
        registry.topics.put(kafka.grow(topic, partitions), actor=actor)
