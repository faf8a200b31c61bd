"""Which topics there are and what each is configured with: partitions, retention, sizes, clocks. Pure.

https://kafka.apache.org/documentation/#topicconfigs
"""

from dataclasses import dataclass

from schemas import topics
from schemas.definitions.source import SourceDefinition
from schemas.settings.processes import KafkaSettings
from schemas.topics import Kind

TIMESTAMPS = "message.timestamp.type"
BROKER_CLOCK = "LogAppendTime"
ENVELOPE_BYTES = 2 << 20
"""What our headers and envelope may add to a body (rule 5)."""
LEDGER_DAYS = 30
RUN_DAYS = 14
OWNERSHIP_PARTITIONS = 64
"""More than there will be sink processes; a stream hashes to one."""
_DAY_MS = 86_400_000
_SMALL = {
    "segment.bytes": str(16 << 20),
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "600000",
}
"""Of a compacted topic that is written every second: only segments that are closed are compacted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it shall be; `retention_days` None = compacted instead; `span`: partitions of each group's range."""

    name: str
    tenant: str
    kind: str
    platform: str
    partitions: int
    retention_days: int | None
    span: int = 0


def of_source(tenant: str, definition: SourceDefinition, partitions: int) -> list[Wanted]:
    """Return a source's topics; all have the raw topic's partition count."""
    platform, kept = definition.platform, definition.retention
    return [
        Wanted(name, tenant, kind.value, platform, partitions, days)
        for name, kind, days in (
            (topics.raw(tenant, platform), Kind.WEBHOOK, kept.raw_days),
            (topics.event(tenant, platform), Kind.EVENT, kept.event_days),
            (topics.quarantine(tenant, platform), Kind.QUARANTINE, kept.quarantine_days),
        )
    ]


def of_tenant(tenant: str, partitions: int) -> list[Wanted]:
    """Return a tenant's own topics."""
    return [
        Wanted(topics.ledger(tenant), tenant, Kind.LEDGER.value, "", partitions, LEDGER_DAYS, partitions),
        Wanted(topics.table(tenant), tenant, Kind.TABLE.value, "", 1, LEDGER_DAYS),
    ]


def of_target(tenant: str, target: str, partitions: int) -> Wanted:
    """Return the run topic of a target, with the range of one group; others come with `Topics.grow`."""
    return Wanted(topics.run(tenant, target), tenant, Kind.RUN.value, target, partitions, RUN_DAYS, partitions)


def of_cluster() -> list[Wanted]:
    """Return the topics that are there once."""
    return [
        Wanted(topics.PRESSURE, "", "pressure", "", 1, None),
        Wanted(topics.OWNERSHIP, "", "ownership", "", OWNERSHIP_PARTITIONS, 1),
    ]


def config(wanted: Wanted, settings: KafkaSettings) -> dict[str, str]:
    """Return the topic's settings; raw topics are stamped by the broker (rule 3)."""
    found = {
        "min.insync.replicas": str(min(settings.min_insync_replicas, settings.replication_factor)),
        "max.message.bytes": str(settings.body_limit_bytes + ENVELOPE_BYTES),
        "cleanup.policy": "compact" if wanted.retention_days is None else "delete",
    }
    if wanted.retention_days is None:
        found |= _SMALL
    else:
        found["retention.ms"] = str(wanted.retention_days * _DAY_MS)
    if wanted.kind == Kind.WEBHOOK:
        found[TIMESTAMPS] = BROKER_CLOCK
    return found
