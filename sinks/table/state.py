"""What a table says of its writer: owner and offsets. The table is the truth (rule 17).

Lives here: keys, reading and writing of that state. Offsets are {topic id: {partition: next offset}}; they stand in
the snapshot's summary (so a rollback takes them along) and as a table property (so a foreign commit or the expiry of
snapshots cannot lose them), under keys that hold the owner's id.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyiceberg.partitioning import PartitionSpec
from pyiceberg.table.metadata import TableMetadata, TableMetadataV2
from pyiceberg.table.snapshots import Snapshot

from schemas.errors import Poison
from schemas.reasons import Reason

Offsets = dict[str, dict[str, int]]
OWNER = "hookberg.owner"
OFFSETS = "hookberg.offsets."
SEQUENCE = "hookberg.sequence."
START = "hookberg.start."
LOST = "hookberg.lost."
NOT_SELECTED = "hookberg.not-selected."
DISCARDED = "hookberg.discarded."
"""Events of this commit that the contract takes no row of."""
DROPPED = "hookberg.discarded-values."
SPEC = "hookberg.partition-spec"
"""The id of the partition spec that we write under; without it the one that the table was made with."""
SORTED = "hookberg.sorted-by"
"""The order that the stream asked for last."""
LAST_NUMBER = "hookberg.sdc-sequence."
"""The greatest `_sdc_sequence` given out so far: in summary and property, written by the commit of its rows."""
NUMBERED_SINCE = "hookberg.sdc-table-version."
DISCARDED_TOTAL = "hookberg.discarded-total."
"""The same since the table's start, by topic id and partition: in summary and property, as offsets are."""
UPKEEP = "hookberg.upkeep"
"""In the summary of a snapshot that only upkeep made: what it did. Its offsets are those before it."""
NEWEST = "hookberg.newest-event-time-ms"
"""In a summary: the latest event time of any row so far, in ms since the epoch."""
REPLACED = "hookberg.replaced-total."
"""Events of an upsert table since its start that are no rows, by why (sinks/upsert/merge.py): kept as offsets are."""


@dataclass(frozen=True, slots=True)
class TableState:
    """Where a table's writer stands: next offsets, the snapshot that says so, rows, time of the last commit."""

    offsets: Offsets = field(default_factory=dict)
    snapshot_id: int | None = None
    sequence_number: int = 0
    rows: int = 0
    files: int = 0
    bytes: int = 0
    committed_at_ms: int | None = None
    discarded: Offsets = field(default_factory=dict)


class Unplaced(Poison):
    """The table was taken back to a snapshot of which nobody knows how far it holds the topics."""

    def __init__(self, name: str) -> None:
        super().__init__(
            Reason.WRITER_FAILED,
            f"table {name} was rolled back to a snapshot without this stream's offsets, and those before it are gone: "
            "make a snapshot that the stream has written the current one",
        )


def owner(metadata: TableMetadata) -> str | None:
    """Return the id of the stream that owns the table; None: not one of ours."""
    return metadata.properties.get(OWNER)


def offsets(metadata: TableMetadata, owner_id: str) -> Offsets:
    """Return the committed offsets: those of the nearest ancestor snapshot that has them, else the property's."""
    snapshot, _oldest = _nearest(metadata, OFFSETS + owner_id)
    return _said(metadata, snapshot, OFFSETS + owner_id)


def discarded(metadata: TableMetadata, owner_id: str) -> Offsets:
    """Return how many events the contract took no row of since the table's start, by topic id and partition."""
    snapshot, _oldest = _nearest(metadata, OFFSETS + owner_id)
    return _said(metadata, snapshot, DISCARDED_TOTAL + owner_id)


def nearest(metadata: TableMetadata, owner_id: str) -> Snapshot | None:
    """Return the nearest ancestor of the head that says the owner's offsets; None: it has expired, or never was."""
    return _nearest(metadata, OFFSETS + owner_id)[0]


def numbered(metadata: TableMetadata, key: str) -> int:
    """Return the greatest number that property and summaries say under `key`; 0 before the first.

    The property alone stays when a snapshot expires or is rolled back; a summary speaks where somebody removed it.
    """
    summaries = (one.summary.additional_properties for one in metadata.snapshots if one.summary is not None)
    said = [one.get(key, "") for one in (metadata.properties, *summaries)]
    return max((int(text) for text in said if text.isascii() and text.isdigit()), default=0)


def replaced(metadata: TableMetadata, owner_id: str) -> dict[str, int]:
    """Return how many events are no rows since the table's start, by why; empty for a table that is appended to."""
    snapshot, _oldest = _nearest(metadata, OFFSETS + owner_id)
    return {why: int(count) for why, count in json.loads(_text(metadata, snapshot, REPLACED + owner_id)).items()}


def _said(metadata: TableMetadata, snapshot: Snapshot | None, key: str) -> Offsets:
    return parse(_text(metadata, snapshot, key))


def _text(metadata: TableMetadata, snapshot: Snapshot | None, key: str) -> str:
    summary = None if snapshot is None else snapshot.summary
    said = metadata.properties if summary is None else summary.additional_properties
    return said.get(key, "{}")


def unplaced(metadata: TableMetadata, owner_id: str) -> bool:
    """Tell whether neither summaries nor property say where the table stands.

    The property speaks for what came after the snapshot that wrote it. Without any summary, and older than that
    snapshot, the table was rolled back: going on from the property would leave rows out.
    """
    written = metadata.properties.get(SEQUENCE + owner_id)
    if written is None:
        return False
    snapshot, oldest = _nearest(metadata, OFFSETS + owner_id)
    return snapshot is None and (oldest is None or oldest < int(written))


def _nearest(metadata: TableMetadata, key: str) -> tuple[Snapshot | None, int | None]:
    """Return the nearest ancestor that says `key`, and the sequence number of the last snapshot looked at."""
    by_id = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    snapshot = by_id.get(metadata.current_snapshot_id) if metadata.current_snapshot_id is not None else None
    oldest = None
    while snapshot is not None:
        oldest = snapshot.sequence_number or 0
        if snapshot.summary and snapshot.summary.additional_properties.get(key):
            return snapshot, oldest
        parent = snapshot.parent_snapshot_id
        snapshot = by_id.get(parent) if parent is not None else None
    return None, oldest


def as_made(metadata: TableMetadata) -> TableMetadata:
    """Return metadata under whose default partition spec we write.

    An operator may add another; files of both specs live together (Iceberg spec, "Partition Evolution").
    """
    ours = spec_of(metadata).spec_id
    return metadata if ours == metadata.default_spec_id else metadata.model_copy(update={"default_spec_id": ours})


def spec_of(metadata: TableMetadata) -> PartitionSpec:
    """Return the partition spec that we write under: the one that was set for the stream, else the first."""
    by_id = {spec.spec_id: spec for spec in metadata.partition_specs}
    said = metadata.properties.get(SPEC, "")
    return by_id.get(int(said) if said.isdigit() else -1) or by_id[min(by_id)]


def read(metadata: TableMetadata, owner_id: str) -> TableState:
    """Return the state of a table that `owner_id` owns."""
    snapshot = metadata.current_snapshot()
    summary = snapshot.summary.additional_properties if snapshot is not None and snapshot.summary else {}
    return TableState(
        offsets=offsets(metadata, owner_id),
        snapshot_id=metadata.current_snapshot_id,
        sequence_number=metadata.last_sequence_number if isinstance(metadata, TableMetadataV2) else 0,
        rows=rows(summary),
        files=int(summary.get("total-data-files", 0)),
        bytes=int(summary.get("total-files-size", 0)),
        committed_at_ms=snapshot.timestamp_ms if snapshot is not None else None,
        discarded=discarded(metadata, owner_id),
    )


def rows(summary: Mapping[str, str]) -> int:
    """Return how many rows a snapshot shows: those of its files without those that position deletes hide."""
    return max(0, int(summary.get("total-records", 0)) - int(summary.get("total-position-deletes", 0)))


def parse(text: str) -> Offsets:
    """Read offsets from their JSON text."""
    return {topic: {partition: int(at) for partition, at in ends.items()} for topic, ends in json.loads(text).items()}


def dump(value: Offsets) -> str:
    """Write offsets as JSON text, in a fixed order."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def moved(base: Offsets, ends: Offsets) -> Offsets:
    """Return `base` with the partitions of `ends` moved."""
    return {topic: {**base.get(topic, {}), **ends.get(topic, {})} for topic in {**base, **ends}}
