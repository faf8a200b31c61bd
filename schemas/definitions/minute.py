"""What became of a source's events in one minute of event time, as the stage counts it and the registry keeps it.

Lives here: the shapes at the joint. How minutes are counted: streams/windows.py; how they are shown:
ingress/api/resources/source_stats.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MinuteCounts:
    """Absolute counts of one source and minute (since the epoch) from one ledger partition.

    `ledger` is the ledger's Kafka topic id. `first`, the offset of the first ledger record in it, is part of its name:
    what comes after a minute was let go is counted under another one, so sums over all are sums. `last` is the offset
    of the newest record in it; of two tellings the one with the larger `last` counts. `types`: event type -> outcome
    -> number; `other_types` the event types beyond the bound; `other_times` events whose own time is too old or in the
    future: they stand in the minute in which they were decided.
    """

    source_id: str
    minute: int
    ledger: str
    partition: int
    first: int
    last: int
    types: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    other_types: Mapping[str, int] = field(default_factory=dict)
    other_times: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Complete:
    """A tenant's ledger is counted: every minute before `minute` is closed and told."""

    ledger: str
    tenant: str
    minute: int


@dataclass(frozen=True, slots=True)
class LastEvent:
    """When a source was made, last changed, and last took an event at the edge (None: never); ms since the epoch."""

    created_at_ms: int
    updated_at_ms: int
    received_at_ms: int | None
