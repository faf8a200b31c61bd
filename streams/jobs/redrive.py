"""The job `streams.redrive`: open rows of the quarantine table become new raw records (rules 15 and 16).

Lives here: which rows, grouped by raw record, in order of position; the record that each becomes; what is told of those
that cannot be redriven. Not here: claiming (runner.py), Kafka (log.py), what becomes of the records (decide.py).

Once a portion is acknowledged the job stores how far it is, so whoever takes it over writes at most that portion twice.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from schemas import topics
from schemas.definitions.job import Job
from schemas.errors import Poison, Transient
from schemas.ports import QuarantineTable, RegistryView
from schemas.wire import raw
from schemas.wire.position import Position
from schemas.wire.quarantine import OpenRow, payload_digest
from schemas.wire.raw import RawMeta, Redrive
from streams.jobs.definitions import as_asked
from streams.jobs.log import Headers, Log
from streams.jobs.runner import Beat
from streams.texts import clean_text

if TYPE_CHECKING:
    from confluent_kafka import Message

PORTION, PORTION_BYTES = 500, 16 << 20
"""Raw records, and their bytes, that are written between two beats and held in memory."""
RATE_PER_S = 1_000
"""Raw records a second: a redrive of many must not hold up what comes in."""
CATCH_UP_S, LOOK_S = 60.0, 1.0
MAX_TOLD = 500
REDRIVEN, GONE, SKIPPED, UNREADABLE = "redriven", "gone", "skipped", "unreadable"
_WRITTEN_ON = "another record stands there now: the log lost its tail and was written on"
_FILTERS = ("source", "eventType", "reason", "schema", "after", "before", "ids")


@dataclass(slots=True)
class Done:
    """What a redrive has done: rows by outcome, raw records written, where it is, rows that were not redriven."""

    matching: int = -1
    records: int = 0
    not_in_table: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((REDRIVEN, GONE, SKIPPED, UNREADABLE), 0))
    left: list[dict[str, Any]] = field(default_factory=list)
    cursor: tuple[str, int, int] | None = None

    @classmethod
    def of(cls, result: Mapping[str, Any] | None) -> "Done":
        """Read what `told` made; a job that begins has nothing."""
        if not result or result.get("cursor") is None:
            return cls()
        topic_id, partition, offset = result["cursor"]
        counts = {name: int(result[name]) for name in (REDRIVEN, GONE, SKIPPED, UNREADABLE)}
        return cls(
            result["matching"], result["records"], result["notInTable"], counts, list(result["left"]),
            (topic_id, partition, offset),
        )  # fmt: skip

    def told(self, *, over: bool = False) -> dict[str, Any]:
        """Return the job's result; until it is `over` with the position up to which it is done."""
        told: dict[str, Any] = {"matching": max(0, self.matching), **self.counts, "records": self.records}
        told |= {"notInTable": self.not_in_table, "left": list(self.left)}
        return told if over else {**told, "cursor": self.cursor}

    def leave(self, row: OpenRow, outcome: str, why: str) -> None:
        """Note that a row is not redriven; at most `MAX_TOLD` are named, all are counted."""
        self.counts[outcome] += 1
        if len(self.left) < MAX_TOLD:
            named = {"position": row.position.to_wire(), "eventId": row.event_id}
            self.left.append({**named, "outcome": outcome, "why": why})

    @property
    def rows(self) -> int:
        """Return how many rows are done."""
        return sum(self.counts.values())


SETTLE_S = 0.6
"""Until the processes of other worker groups know the definitions, too: twice the interval at which they ask."""


class Redriver:
    """Does redrives; `table` is the reading side of quarantine, `log` opens Kafka for the topics named."""

    def __init__(
        self,
        registry: RegistryView,
        table: QuarantineTable,
        log: Callable[[Iterable[str]], Log],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        portion: int = PORTION,
    ) -> None:
        self.registry, self.table, self._log = registry, table, log
        self.monotonic, self.sleep, self.portion = monotonic, sleep, portion

    def __call__(self, job: Job, beat: Beat) -> Mapping[str, Any]:
        """Do one redrive; returns counts and the rows that could not be redriven, with the reason."""
        if job.arguments.get("revision"):
            as_asked(self.registry, job, beat, monotonic=self.monotonic, sleep=self.sleep)
            self.sleep(SETTLE_S)
        named = self._topics(job.tenant_id)
        log = self._log([*named[topics.Kind.WEBHOOK], *named[topics.Kind.QUARANTINE]])
        run = _Run(self, job, beat, log, named)
        try:
            return run.run()
        except Transient as error:
            raise Transient(f"{error}; {run.done.records} records are written") from error
        finally:
            log.close()

    def _topics(self, tenant: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {topics.Kind.WEBHOOK: [], topics.Kind.QUARANTINE: []}
        for topic in self.registry.current().topics.values():
            if topic.tenant == tenant and topic.kind in found:
                found[topic.kind].append(topic.name)
        return found


class _Run:
    """One redrive while it is done."""

    def __init__(self, redriver: Redriver, job: Job, beat: Beat, log: Log, named: Mapping[str, list[str]]) -> None:
        self._of, self._job, self._beat, self._log, self._named = redriver, job, beat, log, named
        self._raw = {log.ids[name]: name for name in named[topics.Kind.WEBHOOK] if name in log.ids}
        self._distinct = job.arguments.get("as") == "distinct"
        self.done = Done.of(job.result)

    def run(self) -> dict[str, Any]:
        done, began, written = self.done, self._of.monotonic(), self.done.records
        done.not_in_table = self._catch_up()
        for portion in self._portions():
            self._write(portion)
            done.cursor = portion[-1][0].position[:3]
            self._alive()
            ahead = (done.records - written) / RATE_PER_S - (self._of.monotonic() - began)
            if ahead > 0:
                self._of.sleep(ahead)
        return done.told(over=True)

    def _alive(self) -> None:
        done = self.done
        self._beat(min(1.0, done.rows / max(1, done.matching)), done.told() if done.cursor else None)

    def _catch_up(self) -> int:
        """Wait until the table holds what was in quarantine when the job began; return what it lacks after a minute."""
        log, ends = self._log, self._log.ends(self._named[topics.Kind.QUARANTINE])
        until = self._of.monotonic() + CATCH_UP_S
        while True:
            held = self._of.table.held(self._job.tenant_id)
            places = {(name, number): held.get((log.ids[name], number), 0) for name, number in ends}
            missing = log.waiting(places, ends)
            if not missing or self._of.monotonic() > until:
                return missing
            self._alive()
            self._of.sleep(LOOK_S)

    def _portions(self) -> Iterator[list[list[OpenRow]]]:
        """Yield rows grouped by raw record, some records at a time, from where the job is up to its limit."""
        query = {name: self._job.arguments[name] for name in _FILTERS if self._job.arguments.get(name)}
        query["distinct"] = self._distinct
        rows = self._of.table.rows(self._job.tenant_id, query, self._alive)
        limit, done = int(self._job.arguments["limit"]), self.done
        if done.matching < 0:
            done.matching = min(limit, len(rows))
        portion: list[list[OpenRow]] = []
        size, left = 0, limit - done.rows
        for at, group in groupby(rows, lambda row: row.position[:3]):
            if done.cursor is not None and at <= done.cursor:
                continue
            portion.append(list(group)[:left])
            left -= len(portion[-1])
            size += max(row.size for row in portion[-1])
            if len(portion) >= self._of.portion or size >= PORTION_BYTES or left <= 0:
                yield portion
                portion, size = [], 0
            if left <= 0:
                return
        if portion:
            yield portion

    def _write(self, portion: list[list[OpenRow]]) -> None:
        written = 0
        for rows in portion:
            written += self._redrive(rows)
        for rows in self._log.flush():
            written -= 1
            self.done.counts[REDRIVEN] -= len(rows)
            for row in rows:
                self.done.leave(row, SKIPPED, "the record is too large for its topic now")
        self.done.records += written

    def _redrive(self, rows: list[OpenRow]) -> int:
        """Write the record that redrives rows of one raw record; return 0 when it cannot be, and say why."""
        found = self._found(rows[0].position)
        if isinstance(found, tuple):
            self._leave(rows, *found)
            return 0
        message, original, meta = found.message, found.headers, found.meta
        own = [row for row in rows if row.delivery_id in ("", clean_text(meta.delivery_id))]
        self._leave([row for row in rows if row not in own], GONE, _WRITTEN_ON)
        if not own:
            return 0
        self.done.counts[REDRIVEN] += len(own)
        distinct = self._distinct or (meta.redrive is not None and meta.redrive.as_distinct)
        made = self._header(own, _bytes(message.value()) or b"", distinct)
        self._log.write(found.topic, message, raw.redriven(original, made), own)
        return 1

    def _leave(self, rows: list[OpenRow], outcome: str, why: str) -> None:
        for row in rows:
            self.done.leave(row, outcome, why)

    def _found(self, at: Position) -> "_Original | tuple[str, str]":
        """Return the record that stands at a position, or what becomes of its rows without it, and why."""
        name = self._raw.get(at.topic_id)
        if name is None:
            return GONE, "the raw topic was deleted or made anew"
        message = self._log.original(name, at.partition, at.offset)
        if message is None:
            return GONE, "the raw topic does not hold the record any more (retention)"
        told: Any = message.headers() or ()  # a list of pairs as read, whatever the client's types allow
        original: Headers = [(key, _bytes(value)) for key, value in told]
        try:
            meta = raw.decode(original)
        except Poison as error:
            return UNREADABLE, error.message
        if meta.redrive is not None and meta.redrive.job == self._job.id:
            return SKIPPED, "this job wrote it, and it failed again"
        source = self._of.registry.current().sources.get(meta.source_id)
        if source is None or source.tenant != self._job.tenant_id:
            return SKIPPED, f"the source {meta.source_id[:64]} does not exist any more"
        return _Original(name, message, original, meta)

    def _header(self, rows: list[OpenRow], value: bytes, distinct: bool) -> Redrive:
        """Return what the record says: which items of which record, by the ids that they have in quarantine.

        `distinct`: asked for, or the record is itself of a redrive that was, and its items have kept their ids.
        """
        at: Position = rows[0].position
        whole = at.item == 0 and _is_whole(rows[0], value)
        kept = rows[:1] if whole else rows
        items = () if whole else tuple(row.position.item for row in kept)
        event_ids = tuple(row.event_id for row in kept)
        return Redrive(at.topic_id, at.partition, at.offset, self._job.id, items, distinct, event_ids)


@dataclass(frozen=True, slots=True)
class _Original:
    """A raw record that can be redriven: its topic, what the client read, its headers, and what they say."""

    topic: str
    message: "Message"
    headers: Headers
    meta: RawMeta


def _is_whole(row: OpenRow, value: bytes) -> bool:
    """Tell whether a row stands for all of a delivery: one that nobody could read is in quarantine byte for byte."""
    return row.size == len(value) and (row.digest is None or row.digest == payload_digest(value))


def _bytes(value: Any) -> bytes | None:  # noqa: ANN401 the client's types allow text
    return value.encode() if isinstance(value, str) else value
