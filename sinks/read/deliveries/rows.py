"""Lines of the list of deliveries, and the raw records that they stand for.

Lives here: what one line shows, and fetching records that stand near each other at once.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from schemas.wire.ledger import Ledger
from schemas.wire.position import Position
from sinks.read.deliveries import records
from sinks.read.deliveries.facts import instant
from sinks.read.deliveries.ground import Ground, Platform
from sinks.read.deliveries.outcomes import UNKNOWN, Outcomes, Said
from sinks.read.deliveries.records import Stored

NEAR = 100
"""Records that are read over rather than sought anew."""


def row(ground: Ground, at: Position, stored: Stored | None, said: Said) -> dict[str, Any]:
    """Return one line; `stored` None: the raw topic no longer holds the record."""
    meta = None if stored is None else stored.meta
    return {
        "deliveryId": None if meta is None else meta.delivery_id,
        "position": {"topicId": at.topic_id, "partition": at.partition, "offset": at.offset},
        "topic": None if stored is None else stored.topic,
        "source": None if meta is None else ground.source_wire(meta.source_id),
        "receivedAt": None if meta is None else instant(meta.received_at_us),
        "storedAt": None if stored is None else instant(stored.stored_ms * 1000),
        "bytes": None if stored is None else stored.size,
        "eventKey": None if meta is None else meta.event_id,
        "redrive": None if meta is None else meta.redrive is not None,
        "state": None if not said.known else "pending" if said.names is None else "decided",
        "outcomes": None if said.names is None else list(said.names),
    }


def at_positions(
    ground: Ground, by_id: Mapping[str, Platform], found: Sequence[tuple[Position, Ledger]]
) -> list[dict[str, Any]]:
    """Return lines of raw records in the ranges of known ledger records, in the order given."""
    stored = fetch(ground, by_id, [at for at, _ in found])
    asked = Outcomes(ground, {one.name: one for one in by_id.values()})
    made = []
    for at, record in found:
        one = stored.get(at)
        said = asked.said(record, at, record.decided_at_us // 1000 if one is None else one.stored_ms)
        made.append(row(ground, at, one, said))
    return made


def of_positions(ground: Ground, by_id: Mapping[str, Platform], wanted: Sequence[Position]) -> list[dict[str, Any]]:
    """Return lines of raw records, newest first; what is gone comes last."""
    stored = fetch(ground, by_id, wanted)
    said = Outcomes(ground, {one.name: one for one in by_id.values()}).of(
        [(at, one.stored_ms) for at, one in stored.items()]
    )
    order = sorted(wanted, key=lambda at: (stored[at].stored_ms if at in stored else 0, at), reverse=True)
    return [row(ground, at, stored.get(at), said.get(at, UNKNOWN)) for at in order]


def fetch(ground: Ground, by_id: Mapping[str, Platform], wanted: Sequence[Position]) -> dict[Position, Stored]:
    """Return the raw records of the tenant at these positions, as far as they are kept."""
    made: dict[Position, Stored] = {}
    for run in _runs(sorted(set(wanted))):
        platform, first, last = by_id[run[0].topic_id], run[0], run[-1]
        left = {at.offset: at for at in run}
        span = {(platform.raw.name, first.partition): (first.offset, last.offset + 1)}
        with closing(ground.log.read(span, ground.budget)) as reading:
            for message in reading:
                at = left.get(int(message.offset() or 0))
                stored = None if at is None else records.stored(message, platform.raw.id)
                if at is not None and stored is not None and stored.meta.tenant == ground.tenant:
                    made[at] = stored
    if ground.budget.spent:
        ground.budget.ran_out("the raw records of this page")
    elif len(made) < len(set(wanted)):
        ground.budget.cut("the raw topic no longer holds some of the records")
    return made


def _runs(ordered: Sequence[Position]) -> list[list[Position]]:
    """Return neighbours of one partition together."""
    made: list[list[Position]] = []
    for at in ordered:
        if made and made[-1][-1][:2] == at[:2] and at.offset - made[-1][-1].offset <= NEAR:
            made[-1].append(at)
        else:
            made.append([at])
    return made
