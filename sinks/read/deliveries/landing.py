"""What the tables did with the clean events of one raw record: committed, by which snapshot, pending, not selected.

Lives here: asking every table of a topic, rows for the ids of snapshots that have expired, and which rows retention has
removed. Not here: loading tables (tables.py), what commits say (commits.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sinks.read.deliveries import commits, tables
from sinks.read.deliveries.commits import Landed, Taken
from sinks.read.deliveries.facts import InTable
from sinks.read.deliveries.ground import Ground
from sinks.read.deliveries.records import Clean
from sinks.read.deliveries.tables import Reading
from sinks.source import Topic


def of_cleans(ground: Ground, topic: Topic, cleans: Sequence[Clean]) -> dict[int, list[InTable]]:
    """Return by item what each table did with clean events of one raw record, in order."""
    made: dict[int, list[InTable]] = {clean.position.item: [] for clean in cleans}
    for reading in ground.readings(topic.name, frozenset(clean.event_type for clean in cleans)):
        took = {clean.position.item: _taken(reading, topic, clean) for clean in cleans}
        took |= _removed(ground, reading, cleans, took)
        expired = [
            clean for clean in cleans
            if took[clean.position.item].state is Landed.COMMITTED and took[clean.position.item].commit is None
        ]  # fmt: skip
        snapshots = _expired(ground, reading, expired)
        for clean in cleans:
            number = clean.position.item
            if not reading.holds(clean.event_type):
                continue
            if clean.at >= 0 or number in snapshots:  # told by a table: others may not have the row
                made[number].append(_shown(reading, took[number], snapshots.get(number)))
    return made


def of_record(reading: Reading, slot: commits.Slot, offset: int) -> InTable:
    """Return what a table did with the record at one offset of its topic."""
    return _shown(reading, reading.commits.take(slot, offset), None)


def _expired(ground: Ground, reading: Reading, cleans: Sequence[Clean]) -> dict[int, int]:
    """Return by item the ids of snapshots that have expired; what lies between two of one commit is of it too."""
    if reading.table is None or not cleans:
        return {}
    ends = [cleans[0], cleans[-1]][: len(cleans)]
    ids = [tables.snapshot_of(reading.table, one.event_id, one.received_at, ground.budget) for one in ends]
    if None in ids:
        ground.budget.cut(f"{reading.name} has committed the event, and its row was not found")
    if len(set(ids)) == 1 and ids[0] is not None:
        return {clean.position.item: ids[0] for clean in cleans}
    return {one.position.item: found for one, found in zip(ends, ids, strict=True) if found is not None}


def _removed(ground: Ground, reading: Reading, cleans: Sequence[Clean], took: Mapping[int, Taken]) -> dict[int, Taken]:
    """Return by item what was committed and has no row any more, being older than the cut that the table says.

    What is younger has its row. What is older may have it still, in a file with younger ones, so the rows are looked
    for; where a bound or an error leaves that open, nothing is called expired (the answer says why).
    """
    cut_ms = reading.commits.cut_ms
    old = [
        one for one in cleans
        if one.at >= 0 and one.received_ms < cut_ms and took[one.position.item].state is Landed.COMMITTED
    ]  # fmt: skip
    if reading.table is None or not old:
        return {}
    there = tables.ids_of(reading.table, old[0].delivery_id, old[0].received_at, ground.budget)
    if there is None:
        return {}
    gone = [one.position.item for one in old if one.event_id not in there]
    return {item: replace(took[item], state=Landed.EXPIRED, expired_before_ms=cut_ms) for item in gone}


def _taken(reading: Reading, topic: Topic, clean: Clean) -> Taken:
    if not reading.selects(clean.event_type):
        return Taken(Landed.NOT_SELECTED)
    if clean.at < 0:
        oldest = reading.commits.commits[0].at_ms if reading.commits.commits else None
        return Taken(Landed.COMMITTED, before_ms=oldest)
    return reading.commits.take((topic.id, clean.position.partition), clean.at)


def _shown(reading: Reading, taken: Taken, snapshot_id: int | None) -> InTable:
    stream = reading.stream
    return InTable(
        reading.name,
        None if stream is None else stream.name,
        None if stream is None else stream.id,
        "running" if stream is None else stream.desired,
        taken,
        snapshot_id,
    )
