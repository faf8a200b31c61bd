"""The "table advanced" record (topic `{tenant}.table`): UTF-8 JSON, one for each commit of a table's owner (rule 22).

Derived from the snapshot alone, so it may be sent again by anyone who holds the table, and is the same then: its id is
the UUIDv5 of (table uuid, sequence number). Readers drop ids that they know, and order a table by sequence number.
Key: `{namespace}.{table}`, so that what is told of one table is in one partition.
"""

import uuid
from datetime import UTC, datetime

import msgspec

from schemas.errors import Poison
from schemas.reasons import Reason


class Advanced(msgspec.Struct, frozen=True, gc=False):
    """A table's new snapshot before it is written; times in ms since the epoch.

    `stream_id` None: one of our own tables. `rows`: of the table, `added_rows`: of this commit (0 when only positions
    moved). `newest_event_time_ms`: the latest event time of any row so far; None when it is not known.
    """

    tenant_id: str
    stream_id: str | None
    namespace: str
    table: str
    table_uuid: str
    sequence_number: int
    committed_at_ms: int
    snapshot_id: int
    rows: int
    added_rows: int
    newest_event_time_ms: int | None

    @property
    def id(self) -> str:
        """Return the record's id, the same however often it is sent."""
        return str(uuid.uuid5(uuid.UUID(self.table_uuid), str(self.sequence_number)))

    @property
    def key(self) -> bytes:
        """Return the record's key."""
        return f"{self.namespace}.{self.table}".encode()


class _Snapshot(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    snapshot_id: str
    rows: int
    added_rows: int
    newest_event_time: str | None


class _Written(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The members in the order of the wire; the snapshot's id is text, as in the REST API: 64 bits do not fit all."""

    id: str
    tenant_id: str
    stream_id: str | None
    namespace: str
    table: str
    table_uuid: str
    sequence_number: int
    committed_at: str
    snapshot: _Snapshot


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(_Written)


def encode(record: Advanced) -> bytes:
    """Return the record's value."""
    newest = record.newest_event_time_ms
    return _encode(
        _Written(
            record.id,
            record.tenant_id,
            record.stream_id,
            record.namespace,
            record.table,
            record.table_uuid,
            record.sequence_number,
            _time(record.committed_at_ms),
            _Snapshot(
                str(record.snapshot_id), record.rows, record.added_rows, None if newest is None else _time(newest)
            ),
        )
    )


def decode(value: bytes) -> Advanced:
    """Read a record; members that a later version adds are passed over. Raises `Poison(bad_record)`."""
    try:
        found = _decoder.decode(value)
        snapshot = found.snapshot
        newest = snapshot.newest_event_time
        record = Advanced(
            found.tenant_id,
            found.stream_id,
            found.namespace,
            found.table,
            found.table_uuid,
            found.sequence_number,
            _ms(found.committed_at),
            int(snapshot.snapshot_id),
            snapshot.rows,
            snapshot.added_rows,
            None if newest is None else _ms(newest),
        )
    except (msgspec.DecodeError, ValueError) as error:
        raise Poison(Reason.BAD_RECORD, f"no table record: {error}") from error
    else:
        return record


def _time(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()}.{rest:03d}Z"


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)
