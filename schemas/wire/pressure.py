"""The pressure record (topic `_hookberg.pressure`, compacted, one partition): UTF-8 JSON, how a source is doing.

Two origins measure each source, once a second and at once when the level changes: the stage (raw records not decided)
and the writers (clean events in no table yet: the worst of the source's streams). Key: `{sourceId}/{origin}`. A record
older than `STALE_S` says nothing. A source that is deleted gets a tombstone from each origin.
"""

from typing import Literal

import msgspec

from schemas.errors import Poison
from schemas.overload import Backlog, Level
from schemas.reasons import Reason

STALE_S = 10.0
Origin = Literal["stage", "tables"]


class Pressure(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """How much of one source waits, times in ms since the epoch.

    Sources that share a topic share its backlog. `drained_per_s`: events done a second over the last half minute, None
    until it is known. `quarantine_ratio`: share of the items decided meanwhile. `level`: by the source's own
    thresholds (`schemas.overload.Level`). `measured_at_ms`: by the measurer's clock.
    """

    tenant_id: str
    source_id: str
    origin: Origin
    measured_at_ms: int
    level: int
    lag_events: int
    lag_seconds: float
    lag_bytes: int
    drained_per_s: float | None
    quarantine_ratio: float

    @property
    def key(self) -> bytes:
        """Return the record's key."""
        return key(self.source_id, self.origin)

    @property
    def backlog(self) -> Backlog:
        """Return what waits."""
        return Backlog(self.lag_events, self.lag_seconds, self.lag_bytes)


News = tuple[str, str, Pressure | None]
"""What a reader of the topic learns: (source id, origin, record; None: the source is gone)."""
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Pressure)


def key(source_id: str, origin: Origin) -> bytes:
    """Return the key of a source's record, or of its tombstone."""
    return f"{source_id}/{origin}".encode()


def encode(record: Pressure) -> bytes:
    """Return the record's value."""
    return _encoder.encode(record)


def decode(value: bytes) -> Pressure:
    """Read a record; members that a later version adds are passed over. Raises `Poison(bad_record)`."""
    try:
        record = _decoder.decode(value)
        Level(record.level)
    except (msgspec.DecodeError, ValueError) as error:
        raise Poison(Reason.BAD_RECORD, f"no pressure record: {error}") from error
    return record
