"""What the answers about deliveries look like: the models of the document, one member a fact.

Lives here: shapes only. Who fills them: sinks/read/deliveries.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from schemas.definitions.base import Definition

Outcome = Literal[
    "clean", "duplicate", "quarantined", "dropped_denied", "dropped_unpinned", "shed", "empty", "control", "lost"
]


class RawPosition(Definition):
    """Where a record stands in its raw topic."""

    topic_id: str
    partition: int
    offset: int


class ItemPosition(RawPosition):
    """Where an item stands in its raw topic."""

    item: int


class SourceName(Definition):
    """A source; `name` null: it was deleted."""

    id: str
    name: str | None


class AuthShown(Definition):
    """How the sender proved itself."""

    scheme: str
    coverage: str
    secret_id: str | None


class RedriveOf(RawPosition):
    """The record that a redrive repeats, the job and the items to decide."""

    job: str
    items: list[int]


class Accepted(Definition):
    """The stored request; `kept` false: retention has removed it, and only position and source are there."""

    position: RawPosition
    kept: bool
    source: SourceName | None
    topic: str | None = None
    received_at: datetime | None = None
    stored_at: datetime | None = None
    bytes: int | None = None
    method: str | None = None
    path: str | None = None
    query: str | None = None
    headers: list[tuple[str, str]] | None = None
    auth: AuthShown | None = None
    event_key: str | None = None
    traceparent: str | None = None
    shed: str | None = None
    redrive_of: RedriveOf | None = None


class Lag(Definition):
    """How far behind: records up to this one, seconds that it waits; null = not known.

    `desired`: of the stream, running or stopped; where the stage has not decided, `paused` or `running`.
    """

    records: int | None
    seconds: float | None
    desired: str | None = None


class Decided(Definition):
    """The stage's decision: when, by which worker group, items by outcome; `lag` while it is pending."""

    at: datetime | None
    group: str | None
    outcomes: dict[str, int]
    lag: Lag | None


class InTable(Definition):
    """What one table did with an item; `committedBefore`: the snapshot has expired, an older one kept has the row.

    `expired`: it was committed, and `retentionDays` has removed its row, as all received before `expiredBefore` may be.
    """

    stream: str | None
    table: str
    state: Literal["committed", "pending", "notSelected", "beforeStart", "skipped", "expired"]
    snapshot_id: str | None
    committed_at: datetime | None
    committed_before: datetime | None
    expired_before: datetime | None
    lag: Lag | None


class DuplicateOf(Definition):
    """The first copy; `deliveryId` null: its raw record is not kept."""

    position: ItemPosition
    delivery_id: str | None
    received_at: datetime | None


class Resolved(Definition):
    """That a quarantined item became clean later: by which copy, when, and where that one landed."""

    by: ItemPosition
    at: datetime | None
    delivery_id: str
    tables: list[InTable]


class ItemAnswer(Definition):
    """One item and what became of it."""

    item: int
    outcome: Outcome
    event_id: str | None
    event_type: str | None
    vendor_event_id: str | None
    schema_: str | None = Field(alias="schema")
    reason: str | None
    pointer: str | None
    message: str | None
    duplicate_of: DuplicateOf | None
    resolved: Resolved | None
    tables: list[InTable]


class SnapshotAnswer(Definition):
    """A snapshot that holds items of the delivery."""

    snapshot_id: str
    committed_at: datetime | None
    committed_before: datetime | None
    items: int


class TableAnswer(Definition):
    """One table over all items: how many are where, and the snapshots that hold them; `expiredBefore` as of an item."""

    stream: str | None
    stream_id: str | None
    table: str
    items: dict[str, int]
    snapshots: list[SnapshotAnswer]
    expired_before: datetime | None
    lag: Lag | None


class DeliveryAnswer(Definition):
    """One delivery's way; `state` null and `incomplete` where bounds or retention cut the search: `why` says which."""

    delivery_id: str
    receipt: str | None
    state: Literal["pending", "decided", "committed"] | None
    accepted: Accepted | None
    decided: Decided | None
    items: list[ItemAnswer]
    next_item: int | None
    tables: list[TableAnswer]
    incomplete: bool
    why: list[str]


class DeliveryLine(Definition):
    """One delivery of the list; members are null where the raw record is not kept or an outcome is not told."""

    delivery_id: str | None
    receipt: str | None
    position: RawPosition
    topic: str | None
    source: SourceName | None
    received_at: datetime | None
    stored_at: datetime | None
    bytes: int | None
    event_key: str | None
    redrive: bool | None
    state: Literal["pending", "decided"] | None
    outcomes: list[Outcome] | None


class DeliveryPage(Definition):
    """One page of deliveries, newest first; `nextCursor` null = the last one."""

    items: list[DeliveryLine]
    next_cursor: str | None
    incomplete: bool
    why: list[str]
