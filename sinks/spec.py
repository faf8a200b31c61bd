"""What a tail is to do, and what the tails of one process share.

Lives here: two value types.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from confluent_kafka.admin import AdminClient
from pyiceberg.catalog import Catalog

from schemas.metrics import Metrics
from schemas.ports import Clock
from schemas.topics import Kind
from schemas.tracing import OFF, Tracer
from sinks.slots import Slots
from sinks.source import Reading, Source
from sinks.split.plan import Plan
from sinks.table.advanced import Advances
from sinks.table.create import Identifier
from sinks.table.partitions import Arrangement
from sinks.upkeep.keeper import Upkeep
from sinks.upsert.keys import Keys
from sinks.upsert.room import Room


@dataclass(frozen=True, slots=True)
class Spec:
    """What a tail is to do; two that are equal need no restart. No arrangement: by day of the layout's time.

    `split`: a table per event type (sinks/split). `facts`: further properties of a table that is made. `keys`: of a
    table that is upserted into. `retention_days`: rows stay so long after they were received; None: for ever.
    """

    id: str
    identifier: Identifier
    topics: tuple[str, ...]
    start_from: str | datetime
    freshness_s: float
    generation: int
    accept_loss: bool
    kind: str
    event_types: tuple[str, ...] = ()
    layout: tuple[Any, ...] = ()
    arrangement: Arrangement | None = None
    split: Plan | None = None
    facts: tuple[tuple[str, str], ...] = ()
    keys: Keys | None = None
    retention_days: int | None = None

    @property
    def stream_id(self) -> str | None:
        """Return the stream's id; None for a tenant's own tables, which no stream object names."""
        return None if self.kind in {Kind.QUARANTINE, Kind.LEDGER} else self.id


@dataclass(frozen=True, slots=True)
class Env:
    """What tails of one process share; `slots` bounds how many build and write at once; `source` opens the log.

    `advances` tells what the tables' new snapshots are; None: nobody is told. `upkeep` looks after them; None: nobody.
    `room`: for the indexes of upsert tables.
    """

    catalog: Catalog
    admin: AdminClient
    kafka: Mapping[str, Any]
    clock: Clock
    metrics: Metrics
    owner: str
    flush_bytes: int
    queue_kib: int
    slots: Slots
    random: Callable[[], float] = field(default=random.random)
    source: Callable[[Mapping[str, Any], AdminClient, Sequence[str]], Reading] = field(default=Source)
    advances: Advances | None = None
    upkeep: Upkeep | None = None
    tracer: Tracer = OFF
    room: Room = field(default_factory=Room)
