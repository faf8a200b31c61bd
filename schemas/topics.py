"""Topic names and the partition of a key: computed here and nowhere else.

Lives here: names, kinds, the collision rule and the partitioner. Not here: creating topics (backing/kafka.py).
Rule 4 of the data path: partition = crc32(key) mod the frozen count, passed explicitly by every producer.
"""

import zlib
from dataclasses import dataclass
from enum import StrEnum

PRESSURE = "_hookberg.pressure"
OWNERSHIP = "_hookberg.ownership"
MAX_TOPIC = 249
"""Kafka's own limit on topic names (org.apache.kafka.common.internals.Topic)."""


class Kind(StrEnum):
    """What a topic of a tenant holds; the middle part of its name."""

    WEBHOOK = "webhook"
    EVENT = "event"
    QUARANTINE = "quarantine"
    LEDGER = "ledger"
    TABLE = "table"
    RUN = "run"


_KINDS = frozenset(kind.value for kind in Kind)


@dataclass(frozen=True, slots=True)
class TopicName:
    """A topic's name taken apart: tenant, kind, and platform or run target ("" for ledger and table)."""

    tenant: str
    kind: Kind
    target: str

    def __str__(self) -> str:
        """Return the Kafka topic name."""
        return f"{self.tenant}.{self.kind}.{self.target}" if self.target else f"{self.tenant}.{self.kind}"


def raw(tenant: str, platform: str) -> str:
    """Name the raw topic `{tenant}.webhook.{platform}`."""
    return f"{tenant}.{Kind.WEBHOOK}.{platform}"


def event(tenant: str, platform: str) -> str:
    """Name the clean topic `{tenant}.event.{platform}`."""
    return f"{tenant}.{Kind.EVENT}.{platform}"


def quarantine(tenant: str, platform: str) -> str:
    """Name the quarantine topic `{tenant}.quarantine.{platform}`."""
    return f"{tenant}.{Kind.QUARANTINE}.{platform}"


def ledger(tenant: str) -> str:
    """Name the ledger topic `{tenant}.ledger`."""
    return f"{tenant}.{Kind.LEDGER}"


def run(tenant: str, target: str) -> str:
    """Name the run topic `{tenant}.run.{target}`."""
    return f"{tenant}.{Kind.RUN}.{target}"


def table(tenant: str) -> str:
    """Name the "table advanced" topic `{tenant}.table`."""
    return f"{tenant}.{Kind.TABLE}"


def parse(name: str) -> TopicName | None:
    """Take a topic name apart; None if it is not one of a tenant's (ours begin with `_`)."""
    tenant, _, rest = name.partition(".")
    kind, _, target = rest.partition(".")
    if not tenant or tenant.startswith("_") or kind not in _KINDS:
        return None
    return TopicName(tenant, Kind(kind), target)


def collides(name: str, other: str) -> bool:
    """Tell whether Kafka's metrics could not tell two different names apart: `.` and `_` are one character there."""
    return name != other and name.replace(".", "_") == other.replace(".", "_")


def partition(key: bytes, count: int) -> int:
    """Return the partition of `key` among `count`: crc32, unsigned, modulo."""
    return zlib.crc32(key) % count


def range_partition(key: bytes, slot: int, span: int, count: int) -> int:
    """Return the partition of `key` in a topic that holds a range of `span` partitions for each group (rule 9).

    `slot` numbers the groups of the tenant, in the order in which they got a topic of it. `count`: what the topic has;
    one that has not grown that far yet takes the record elsewhere.
    """
    return (slot * span + zlib.crc32(key) % span) % count
