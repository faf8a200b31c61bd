"""Where a delivery's raw record stands: by receipt one fetch, by its id alone a search around the time in the id.

Lives here: the two ways in. The id is a UUIDv7 of the ingress' clock, raw records are stamped by the broker's (rule 3),
so the search begins where they agree and widens to what clocks and waiting for acknowledgement allow.
"""

from collections.abc import Mapping
from contextlib import closing

from confluent_kafka import Message

from schemas.wire.position import Position
from schemas.wire.raw import HB_REDRIVE
from sinks.read.deliveries import follow, records, tables
from sinks.read.deliveries.facts import Facts
from sinks.read.deliveries.ground import MAX_RAW, Ground, Platform, at
from sinks.read.deliveries.log import Place

WINDOWS_MS = ((-5, 50), (-50, 500), (-2_000, 5_000), (-35_000, 65_000))
"""Around the time in the id: what is usual, under load, clocks apart, and all that is possible: readiness wants clocks
within 30 s of the broker's, and the ingress' producer gives up after 30 s."""


def by_receipt(ground: Ground, facts: Facts, where: tuple[str, int, int], first: int, limit: int) -> bool:
    """Fill `facts` of the raw record at a genuine receipt's (topic id or name, partition, offset); False: not ours."""
    topic, partition, offset = where
    view = ground.view_of(topic)
    if view is None:
        return False
    platform = ground.platforms([view.platform]).get(view.platform)
    if platform is not None and partition < platform.raw.partitions:
        message = ground.log.first((platform.raw.name, partition), offset, offset + 1, ground.budget)
        if message is not None and _is(message, facts.delivery_id, ground.tenant):
            _take(ground, facts, platform, message, first, limit)
            return True
    ground.budget.cut("the raw topic no longer holds the record")
    position = Position(view.topic_id if topic == view.name else topic, partition, offset, 0)
    _without_raw(ground, facts, platform, position, first, limit)
    return True


def by_id(ground: Ground, facts: Facts, first: int, limit: int) -> bool:
    """Fill `facts` by the delivery id alone; False: the tenant has no such delivery."""
    ms = records.time_of(facts.delivery_id)
    views = list(ground.raw_views())
    if ms is None or not views:
        return False
    if len(views) > MAX_RAW:
        ground.budget.cut(f"{len(views)} raw topics: the first {MAX_RAW} by name were searched")
    platforms = ground.platforms(view.platform for view in views[:MAX_RAW])
    message = _search(ground, platforms, facts.delivery_id, ms)
    if message is not None:
        platform = next(one for one in platforms.values() if one.raw.name == message.topic())
        _take(ground, facts, platform, message, first, limit)
        return True
    if not ground.budget.why:
        return False
    for platform in platforms.values():
        position = _in_tables(ground, platform, facts.delivery_id, ms)
        if position is not None:
            _without_raw(ground, facts, platform, position, first, limit)
            break
    return True


def _take(ground: Ground, facts: Facts, platform: Platform, message: Message, first: int, limit: int) -> None:
    facts.stored = records.stored(message, platform.raw.id)
    facts.position = at(platform.raw, int(message.partition() or 0), int(message.offset() or 0))
    facts.source = ground.source_wire(records.source_id(message))
    follow.Follow(ground, platform, facts.position, message.timestamp()[1], facts).run(first, limit)


def _without_raw(
    ground: Ground, facts: Facts, platform: Platform | None, position: Position, first: int, limit: int
) -> None:
    """Follow a position whose raw record is gone: the ledger is kept longer, and tables for ever."""
    facts.position = position
    if platform is None or platform.raw.id != position.topic_id:
        ground.budget.cut("the raw topic was made anew or deleted since")
        return
    since_ms = records.time_of(facts.delivery_id) or 0
    follow.Follow(ground, platform, position, since_ms, facts).run(first, limit)
    if facts.decided is False:
        facts.decided = None


def _search(ground: Ground, platforms: Mapping[str, Platform], delivery_id: str, ms: int) -> Message | None:
    places = [(one.raw.name, number) for one in platforms.values() for number in range(one.raw.partitions)]
    wanted, tenant, log, budget = delivery_id, ground.tenant, ground.log, ground.budget
    inner: dict[Place, tuple[int, int]] = {}
    starts: dict[Place, int] = {}
    for before, after in WINDOWS_MS:
        starts, ends = log.since(places, ms + before), log.since(places, ms + after)
        outer = {place: (starts[place], ends[place]) for place in places}
        spans = [outer] if not inner else [
            {place: (inner[place][1], outer[place][1]) for place in places},
            {place: (outer[place][0], inner[place][0]) for place in places},
        ]  # fmt: skip
        for span in spans:
            with closing(log.read(span, budget)) as reading:
                for message in reading:
                    if _is(message, wanted, tenant) and not records.header(message, HB_REDRIVE):
                        return message
        inner = outer
    if budget.spent:
        budget.ran_out("the raw topics around the time in the id")
    elif any(low > 0 and starts[place] <= low for place, low in log.lows(places).items()):
        budget.cut("retention has removed raw records of the time in the id")
    return None


def _is(message: Message, delivery_id: str, tenant: str) -> bool:
    return records.delivery_id(message) == delivery_id and records.tenant(message) == tenant


def _in_tables(ground: Ground, platform: Platform, delivery_id: str, ms: int) -> Position | None:
    """Return the raw position that a row of the delivery names; None without such a row."""
    if platform.event is None:
        return None
    for reading in ground.readings(platform.event.name):
        if reading.table is not None:
            rows = tables.rows_of(reading.table, tables.of_delivery(delivery_id, ms), 1, ground.budget)
            if rows:
                return rows[0].position._replace(item=0)
    return None
