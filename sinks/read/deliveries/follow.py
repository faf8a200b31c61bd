"""From a raw record's position to what became of it: ledger, clean topic, quarantine topic, tables.

Lives here: the order of reading. A transaction's markers reach its partitions one after another (KIP-98), so what one
partition shows and another does not yet is read again for a moment, and then said to be incomplete: never missing.
"""

from collections.abc import Sequence
from contextlib import closing

from schemas.reasons import Outcome
from schemas.wire.position import Position
from schemas.wire.quarantine import FAILED, Quarantine
from sinks.read.deliveries import book, landing, ordered, records, tables
from sinks.read.deliveries.facts import Facts, FirstCopy, InTable, Item, Resolution, items
from sinks.read.deliveries.ground import Ground, Platform
from sinks.read.deliveries.log import Place
from sinks.read.deliveries.ordered import Found
from sinks.read.deliveries.records import Clean, Note
from sinks.read.deliveries.tables import Reading
from sinks.source import Topic

SETTLE_S, AGAIN_S = 2.0, 0.05
HINT_MS = 1_000
MAX_FIRSTS = 20
MAX_RESOLVED = 10
RESOLVED_AHEAD = 5_000


class Follow:
    """Follows one raw record; fills `facts`. `since_ms`: the record was stored then or later."""

    def __init__(self, ground: Ground, platform: Platform, at: Position, since_ms: int, facts: Facts) -> None:
        self._ground, self._platform, self._at, self._facts = ground, platform, at, facts
        self._since_ms = since_ms
        self._budget, self._log = ground.budget, ground.log

    def run(self, first: int, limit: int) -> None:
        """Read everything; details of items from number `first` on, `limit` at most."""
        self._outcomes()
        facts = self._facts
        found = items(self._at.offset, facts.record, facts.cleans)
        facts.decided = bool(found) or (None if facts.record is not None else facts.decided)
        shown = [item for item in found if item.number >= first][:limit]
        facts.firsts = self._firsts(shown)
        made: dict[int, Sequence[InTable]] = {}
        if any(item.outcome == Outcome.QUARANTINED for item in found):
            self._quarantined(found, made)
        cleans = [item.clean for item in found if item.clean is not None]
        if cleans and self._platform.event is not None:
            made |= landing.of_cleans(self._ground, self._platform.event, cleans)
        facts.tables = made

    # ---- what was decided
    def _outcomes(self) -> None:
        until = self._ground.clock.monotonic() + SETTLE_S
        told: book.Told | None = None
        while True:
            at_rest = told is not None and told.record is not None and self._at_rest(self._platform.event)
            found = self._written(self._platform.event, records.clean_key(self._at.topic_id))
            if told is None or told.record is None:
                told = self._told(found)
            if told is None or at_rest or self._settled(found, told):
                break
            if self._ground.clock.monotonic() >= until:
                self._budget.cut("a transaction is just being completed: ask again")
                break
            self._ground.wait(AGAIN_S)
        facts = self._facts
        facts.cleans = [clean for clean in map(records.clean, found.messages) if clean is not None]
        if told is not None:
            facts.record = told.record
            facts.decided = True if told.record is not None else False if told.complete else None
            view = self._ground.view_of(self._at.topic_id)
            facts.paused = view is not None and view.paused
            facts.behind = None if told.reached is None else max(0, self._at.offset - told.reached + 1)
        if facts.record is not None and not items(self._at.offset, facts.record, facts.cleans):
            self._from_tables(first_kept=found.first_kept)

    def _told(self, found: Found) -> book.Told | None:
        ledger = self._ground.ledger
        if ledger is None:
            self._budget.cut("the tenant has no ledger topic")
            return None
        own = found.messages[0].timestamp()[1] if found.messages else 0
        since_ms = max(self._since_ms, found.before_ms or 0, own)
        return book.find(self._log, ledger.name, ledger.partitions, self._at, since_ms, self._budget)

    def _settled(self, found: Found, told: book.Told) -> bool:
        """Tell whether ledger and clean topic, which was read first, show the same transactions of this record.

        A transaction becomes visible as a whole in a partition, and those after it only then.
        """
        if told.record is None:
            return not found.messages or not told.complete
        nothing_clean = told.record.items == len(told.record.others)
        return nothing_clean or bool(found.messages) or found.later or self._budget.spent

    def _at_rest(self, topic: Topic | None) -> bool:
        """Tell whether no transaction is open on our partition of a topic: what is read from now on is all there is."""
        if topic is None:
            return True
        place = [(topic.name, self._at.partition)]
        return self._log.ends(place) == self._log.ends(place, committed=False)

    def _written(self, topic: Topic | None, key: ordered.KeyOf) -> Found:
        """Return the records that the decision about our raw record wrote to an output topic."""
        if topic is None or self._at.partition >= topic.partitions:
            return Found()
        place = (topic.name, self._at.partition)
        span = (self._log.lows([place])[place], self._log.ends([place])[place])
        hint = self._log.since([place], self._since_ms - HINT_MS)[place]
        found = ordered.find(self._log, place, span, self._at.offset, key, hint, self._budget)
        if self._budget.spent:
            self._budget.ran_out(topic.name)
        return found

    def _from_tables(self, *, first_kept: bool) -> None:
        """Take the clean events from the tables when their topic no longer holds them."""
        event = self._platform.event
        why = "the clean topic no longer holds the events" if first_kept else "the clean topic does not hold the events"
        self._budget.cut(f"{why}: items are told by the tables")
        if event is None:
            return
        where = tables.of_delivery(self._facts.delivery_id, records.time_of(self._facts.delivery_id) or 0)
        seen: dict[int, Clean] = {}
        for reading in self._ground.readings(event.name):
            if reading.table is not None:
                for clean in tables.rows_of(reading.table, where, tables.MAX_ROWS, self._budget):
                    if clean.position[:3] == self._at[:3]:
                        seen.setdefault(clean.position.item, clean)
        self._facts.cleans = [seen[number] for number in sorted(seen)]

    # ---- duplicates
    def _firsts(self, shown: Sequence[Item]) -> dict[tuple[int, int], FirstCopy]:
        """Return the deliveries of first copies; at most 20 are looked up."""
        wanted = list(dict.fromkeys((item.of.partition, item.of.offset) for item in shown if item.of is not None))
        if len(wanted) > MAX_FIRSTS:
            self._budget.cut(f"{len(wanted)} first copies: the deliveries of {MAX_FIRSTS} were looked up")
        raw, made = self._platform.raw, {}
        for partition, offset in wanted[:MAX_FIRSTS]:
            message = self._log.first((raw.name, partition), offset, offset + 1, self._budget)
            copy = None if message is None else records.stored(message, raw.id)
            if copy is None or copy.meta.tenant != self._ground.tenant:
                self._budget.cut("the raw topic no longer holds a first copy")
                continue
            made[partition, offset] = FirstCopy(copy.meta.delivery_id, copy.meta.received_at_us)
        return made

    # ---- quarantined items
    def _quarantined(self, found: Sequence[Item], made: dict[int, Sequence[InTable]]) -> None:
        topic = self._platform.quarantine
        wanted = {item.number for item in found if item.outcome == Outcome.QUARANTINED}
        until = self._ground.clock.monotonic() + SETTLE_S
        while True:
            at_rest = self._at_rest(topic)
            written = self._written(topic, records.quarantine_key(self._at.topic_id))
            failed: dict[int, tuple[int, Quarantine]] = {}
            for message in written.messages:
                record = records.failed(message)
                if record is not None and record.kind == FAILED:
                    failed[record.position.item] = (int(message.offset() or 0), record)
            if wanted <= set(failed) or at_rest or written.later or self._budget.spent:
                break
            if self._ground.clock.monotonic() >= until:
                break
            self._ground.wait(AGAIN_S)
        if not wanted <= set(failed):
            self._budget.cut("the quarantine topic does not hold why an item failed (retention, or ask again)")
        if topic is None or not failed:
            return
        self._facts.failed = {number: record for number, (_, record) in failed.items()}
        reading = next(iter(self._ground.readings(topic.name)), None)
        if reading is not None:
            for number, (offset, _) in failed.items():
                made[number] = (landing.of_record(reading, (topic.id, self._at.partition), offset),)
        self._facts.resolved = self._resolved(topic, reading, failed)

    def _resolved(
        self, topic: Topic, reading: Reading | None, failed: dict[int, tuple[int, Quarantine]]
    ) -> dict[int, Resolution]:
        """Return which of the failed items became clean since: in the topic behind them, else in the table."""
        place = (topic.name, self._at.partition)
        start, end = min(offset for offset, _ in failed.values()) + 1, self._log.ends([place])[place]
        near = min(end, start + RESOLVED_AHEAD)
        found = self._notes(place, (start, near))
        if near < end:
            table = None if reading is None else reading.table
            following = 0 if reading is None else reading.commits.next.get((topic.id, self._at.partition), 0)
            if table is not None and following > near:
                for _, record in failed.values():
                    found |= tables.resolved_of(table, record, self._budget)
            tail = max(near, following)
            found |= self._notes(place, (tail, end))
        if self._budget.spent:
            self._budget.ran_out("whether a quarantined item became clean since")
        mine = {at.item: note for at, note in found.items() if at[:3] == self._at[:3]}
        landed: dict[Position, dict[int, list[InTable]]] = {}
        for copy in dict.fromkeys(note.by._replace(item=0) for note in mine.values()):
            if len(landed) == MAX_RESOLVED:
                self._budget.cut(f"where copies landed that resolved items: {MAX_RESOLVED} deliveries were looked up")
                break
            landed[copy] = self._copy(copy, next(note.at_us for note in mine.values() if note.by[:3] == copy[:3]))
        return {
            number: Resolution(
                note.by,
                note.at_us,
                note.delivery_id,
                tuple(landed.get(note.by._replace(item=0), {}).get(note.by.item, ())),
            )
            for number, note in mine.items()
        }

    def _notes(self, place: Place, span: tuple[int, int]) -> dict[Position, Note]:
        with closing(self._log.read({place: span}, self._budget)) as reading:
            return {note.position: note for note in map(records.resolution, reading) if note is not None}

    def _copy(self, by: Position, decided_us: int) -> dict[int, list[InTable]]:
        """Return by item where the clean events of another raw record landed."""
        event = self._platform.event
        if event is None or by.topic_id != self._at.topic_id:
            return {}
        place = (event.name, by.partition)
        span = (self._log.lows([place])[place], self._log.ends([place])[place])
        hint = self._log.since([place], decided_us // 1000 - HINT_MS)[place]
        key = records.clean_key(by.topic_id)
        written = ordered.find(self._log, place, span, by.offset, key, hint, self._budget)
        return landing.of_cleans(
            self._ground, event, [one for one in map(records.clean, written.messages) if one is not None]
        )
