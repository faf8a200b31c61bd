"""A page of deliveries, newest first: all of them, those with an outcome, those of one vendor event.

Lives here: which topic is walked. Without a filter, and for `clean` and `pending`, the raw topics; for every other
outcome the ledger, which names such items: rare ones are found without reading what is between. By vendor event:
vendor.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.errors import Refused
from schemas.reasons import Outcome, Reason
from schemas.wire.ledger import Ledger
from schemas.wire.position import Position
from sinks.read.deliveries import book, records, vendor
from sinks.read.deliveries.ground import MAX_RAW, Ground, Platform
from sinks.read.deliveries.outcomes import Outcomes, Said
from sinks.read.deliveries.records import Stored
from sinks.read.deliveries.rows import at_positions, row
from sinks.read.deliveries.walk import Cursor, Walk, cursor_at

PENDING = "pending"
OUTCOMES = (*(one.value for one in Outcome if one is not Outcome.LOST), PENDING)
Line = tuple[Cursor, Position, int, Stored | None]
"""Where a raw record stands in the list and in its topic, when it was stored (ms), what it says."""
_WALKS_RAW = frozenset({None, PENDING, Outcome.CLEAN.value})


def page(ground: Ground, query: Mapping[str, str], limit: int, cursor: str | None) -> dict[str, Any]:
    """Return `{items, nextCursor, incomplete, why}`; raises `Refused(bad_request)` for a filter nobody could meet."""
    outcome = query.get("outcome")
    if outcome is not None and outcome not in OUTCOMES:
        raise Refused(Reason.BAD_REQUEST, f"outcome is one of {', '.join(OUTCOMES)}")
    sources = _sources(ground, query.get("source"))
    views = [view for view in ground.raw_views() if sources is None or view.platform in sources.values()]
    if len(views) > MAX_RAW:
        ground.budget.cut(f"{len(views)} raw topics: the first {MAX_RAW} by name were read")
    platforms = ground.platforms(view.platform for view in views[:MAX_RAW])
    if "vendorEventId" in query:
        if cursor is not None or outcome is not None:
            raise Refused(Reason.BAD_REQUEST, "vendorEventId is one page: leave cursor and outcome out")
        if any("\ud800" <= char <= "\udfff" for char in query["vendorEventId"]):
            raise Refused(Reason.BAD_REQUEST, "vendorEventId: not valid text")
        found = vendor.deliveries(ground, platforms, sources, query["vendorEventId"], limit)
        return _answer(ground, found, None)
    if outcome in _WALKS_RAW:
        return _raw(ground, platforms, sources, outcome, limit, cursor)
    return _ledger(ground, platforms, sources, outcome or "", limit, cursor)


def _sources(ground: Ground, wanted: str | None) -> dict[str, str] | None:
    """Return platforms by id of the sources that are meant; None: all."""
    if wanted is None:
        return None
    own = [one for one in ground.snapshot.sources.values() if one.tenant == ground.tenant]
    return {one.id: one.platform for one in own if wanted in (one.id, one.name)}


def _raw(
    ground: Ground,
    platforms: Mapping[str, Platform],
    sources: Mapping[str, str] | None,
    outcome: str | None,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    by_topic = {one.raw.name: one for one in platforms.values()}
    places = [(one.raw.name, number) for one in platforms.values() for number in range(one.raw.partitions)]
    if cursor is None:
        ends = ground.log.ends(places)
    else:
        read = Cursor.read(cursor, list(by_topic))
        ends = read.ends(ground.log, places, own=read.offset)
    walk = Walk(ground.log, ends, ground.budget)
    asked, made = Outcomes(ground, platforms), list[tuple[Cursor, dict[str, Any]]]()
    block: list[Line] = []
    last: Cursor | None = None
    for message in walk:
        if len(made) >= limit:
            break
        last = cursor_at(message)
        topic_id = by_topic[message.topic() or ""].raw.id
        stored = records.stored(message, topic_id)
        if _wanted(ground, stored, sources):
            at = Position(topic_id, int(message.partition() or 0), int(message.offset() or 0), 0)
            block.append((last, at, message.timestamp()[1], stored))
        if len(block) >= limit:
            made += _decided(ground, asked, block, outcome, walk)
            block = []
    else:
        made += _decided(ground, asked, block, outcome, walk)
        if walk.cut:
            ground.budget.ran_out("the raw topics; go on with the cursor")
        elif len(made) <= limit:
            last = None
    items = [one for _, one in made[:limit]]
    return _answer(ground, items, made[limit - 1][0] if len(made) >= limit and last is not None else last)


def _wanted(ground: Ground, stored: Stored | None, sources: Mapping[str, str] | None) -> bool:
    """Tell whether a record is one of the list; one with headers that nobody can read is nobody's, and counts."""
    if stored is None:
        return sources is None
    return stored.meta.tenant == ground.tenant and (sources is None or stored.meta.source_id in sources)


def _decided(
    ground: Ground, asked: Outcomes, block: Sequence[Line], outcome: str | None, walk: Walk
) -> list[tuple[Cursor, dict[str, Any]]]:
    """Return the rows of a block that meet the filter; what lies before a decided record is decided as well."""
    said = asked.of([(at, stored_ms) for _, at, stored_ms, _ in block])
    if outcome == PENDING:
        for cursor, at, _, _ in block:
            if said[at].names is not None:
                walk.finish(cursor.place)
    return [(cursor, row(ground, at, stored, said[at])) for cursor, at, _, stored in block if _meets(said[at], outcome)]


def _meets(said: Said, outcome: str | None) -> bool:
    if outcome is None:
        return True
    if outcome == PENDING:
        return said.known and said.names is None
    return said.names is not None and outcome in said.names


def _ledger(
    ground: Ground,
    platforms: Mapping[str, Platform],
    sources: Mapping[str, str] | None,
    outcome: str,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    ledger = ground.ledger
    if ledger is None:
        return _answer(ground, [], None)
    by_id = {one.raw.id: one for one in platforms.values()}
    places = [(ledger.name, number) for number in range(ledger.partitions)]
    read = None if cursor is None else Cursor.read(cursor, [ledger.name])
    ends = ground.log.ends(places) if read is None else read.ends(ground.log, places, own=read.offset + 1)
    walk = Walk(ground.log, ends, ground.budget)
    found: list[tuple[Position, Ledger]] = []
    last: Cursor | None = None
    for message in walk:
        record = book.read(message.value() or b"")
        here = cursor_at(message)
        if record is not None and record.topic_id in by_id:
            offsets = {
                other.offset for other in record.others
                if other.outcome == outcome and (sources is None or other.source_id in sources)
            }  # fmt: skip
            resumed = read is not None and (here.place, here.offset) == (read.place, read.offset)
            for offset in sorted(offsets, reverse=True):
                if resumed and read is not None and offset >= read.sub >= 0:
                    continue
                if len(found) == limit:
                    return _answer(ground, at_positions(ground, by_id, found), last)
                found.append((Position(record.topic_id, record.partition, offset, 0), record))
                last = cursor_at(message, offset)
        if len(found) < limit:
            last = cursor_at(message, 0)
    if walk.cut:
        ground.budget.ran_out("the ledger topic; go on with the cursor")
        return _answer(ground, at_positions(ground, by_id, found), last)
    return _answer(ground, at_positions(ground, by_id, found), None)


def _answer(ground: Ground, items: Sequence[dict[str, Any]], cursor: Cursor | None) -> dict[str, Any]:
    why = ground.budget.why
    return {
        "items": list(items),
        "nextCursor": None if cursor is None else cursor.text(),
        "incomplete": bool(why),
        "why": list(why),
    }
