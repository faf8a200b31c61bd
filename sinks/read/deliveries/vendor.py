"""Deliveries of one vendor event: the event's own and every copy that came again.

Lives here: where to look. Sources partitioned by event: the raw record's key names the event (rule 4), so one partition
is walked. Others: the event's id is derived from the vendor's (schemas/ids.py); clean events have it as key, the ledger
names it for what is not clean. What the topics no longer hold, or a bound left out, is asked of the tables.
"""

from collections.abc import Iterable, Mapping

from schemas import ids, topics
from schemas.definitions.view import SourceView
from schemas.ids import IdKind
from schemas.wire.position import Position
from sinks.read.deliveries import book, records, tables
from sinks.read.deliveries.ground import Ground, Platform, at
from sinks.read.deliveries.log import Place
from sinks.read.deliveries.rows import of_positions
from sinks.read.deliveries.walk import Walk

MAX_SOURCES = 20


def deliveries(
    ground: Ground, platforms: Mapping[str, Platform], wanted: Iterable[str] | None, vendor_event_id: str, limit: int
) -> list[dict[str, object]]:
    """Return at most `limit` lines, newest first; `wanted`: ids of sources, None = all of the tenant."""
    own = [one for one in ground.snapshot.sources.values() if one.tenant == ground.tenant]
    chosen = sorted((one for one in own if wanted is None or one.id in wanted), key=lambda one: one.name)
    if len(chosen) > MAX_SOURCES:
        ground.budget.cut(f"{len(chosen)} sources: the first {MAX_SOURCES} by name were asked; name one")
    found: dict[Position, None] = {}
    for source in chosen[:MAX_SOURCES]:
        platform = platforms.get(source.platform)
        if platform is not None:
            found |= dict.fromkeys(_of_source(ground, platform, source, vendor_event_id, limit))
    by_id = {one.raw.id: one for one in platforms.values()}
    return of_positions(ground, by_id, list(found))[:limit]


def _of_source(
    ground: Ground, platform: Platform, source: SourceView, vendor_event_id: str, limit: int
) -> set[Position]:
    found: set[Position] = set()
    if source.partitioning == "event":
        key = f"{source.id}:{vendor_event_id}".encode("utf-8", "surrogateescape")
        place = (platform.raw.name, topics.partition(key, source.partitions))
        found |= {at(platform.raw, place[1], offset) for offset in _with_key(ground, place, {key}, limit)}
    if not found:
        found |= _derived(ground, platform, source, vendor_event_id, limit)
    if not found or ground.budget.spent:
        found |= _in_tables(ground, platform, source, vendor_event_id, limit)
    return found


def _with_key(ground: Ground, place: Place, keys: set[bytes], limit: int) -> list[int]:
    """Return offsets of records with one of the keys, newest first."""
    made: list[int] = []
    walk = Walk(ground.log, ground.log.ends([place]), ground.budget)
    for message in walk:
        if message.key() in keys:
            made.append(int(message.offset() or 0))
            if len(made) >= limit:
                break
    if walk.cut:
        ground.budget.ran_out(f"{place[0]}, read backwards for the vendor's id")
    return made


def _derived(ground: Ground, platform: Platform, source: SourceView, vendor_event_id: str, limit: int) -> set[Position]:
    """Return raw positions of events whose id comes from the vendor's: clean ones, and what the ledger names."""
    kinds = (IdKind.VENDOR, IdKind.EXPLICIT)
    derived = {ids.event_id(source.id, kind, vendor_event_id) for kind in kinds}
    found: set[Position] = set()
    if ground.ledger is not None:
        places = [(ground.ledger.name, number) for number in range(ground.ledger.partitions)]
        walk = Walk(ground.log, ground.log.ends(places), ground.budget)
        for message in walk:
            record = book.read(message.value() or b"", platform.raw.id)
            for other in () if record is None else record.others:
                if record is not None and other.event_id in derived:
                    found.add(at(platform.raw, record.partition, other.offset))
                    if other.of is not None:
                        found.add(at(platform.raw, other.of.partition, other.of.offset))
            if len(found) >= limit:
                break
        if walk.cut:
            ground.budget.ran_out("the ledger topic, read backwards for the event's id")
    if not found and platform.event is not None:
        found |= _clean(ground, platform, derived)
    return found


def _clean(ground: Ground, platform: Platform, derived: set[str]) -> set[Position]:
    """Return the raw position of the clean event with one of these ids: clean topics have the id as key."""
    keys, event, budget = {one.encode() for one in derived}, platform.event, ground.budget
    if event is None:
        return set()
    places = [(event.name, number) for number in range(event.partitions)]
    walk = Walk(ground.log, ground.log.ends(places), budget)
    for message in walk:
        clean = records.clean(message) if message.key() in keys else None
        if clean is not None and clean.position.topic_id == platform.raw.id:
            return {clean.position._replace(item=0)}
    if walk.cut:
        budget.ran_out(f"{event.name}, read backwards for the event's id")
    return set()


def _in_tables(
    ground: Ground, platform: Platform, source: SourceView, vendor_event_id: str, limit: int
) -> set[Position]:
    if platform.event is None:
        return set()
    found: set[Position] = set()
    for reading in ground.readings(platform.event.name):
        if reading.table is not None:
            where = tables.of_vendor_event(source.name, vendor_event_id)
            rows = tables.rows_of(reading.table, where, limit, ground.budget)
            found |= {one.position._replace(item=0) for one in rows if one.position.topic_id == platform.raw.id}
    return found
