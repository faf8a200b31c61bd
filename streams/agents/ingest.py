"""The agent of raw topics: batches in, decisions out, and one bad record stops nobody (spec section 7, rule 13).

Lives here: which snapshot decides, what happens when deciding fails. Not here: deciding (streams/judge.py).
"""

from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace

import msgspec

from schemas.contracts import Library
from schemas.definitions.view import Snapshot
from schemas.logs import logger
from schemas.ports import RegistryView
from schemas.reasons import Reason
from schemas.wire.raw import HB_SOURCE_ID, SOURCE_AT, RawRecord
from streams.agents.careful import Careful, poison
from streams.emit import Decided
from streams.engine.agent import Batch, Batches
from streams.engine.runs import RunTopics
from streams.engine.table import FirstSeenTable, View
from streams.judge import Adapter, Judge
from streams.parse import Delivery, Fault, delivery
from streams.sources import Sources

_MAX_STRANGERS = 1_000
_MOST_ALONE = 20_000
"""Items decided one by one at a time, where a batch has failed."""
_log = logger(__name__)


class Ingest:
    """The agent's body; `adapter` gives the vendor of a platform, `now_us` the wall clock for people."""

    def __init__(
        self,
        seen: FirstSeenTable,
        registry: RegistryView,
        adapter: Adapter,
        now_us: Callable[[], int],
        contracts: Library | None = None,
        careful: Careful | None = None,
        runs: RunTopics | None = None,
    ) -> None:
        self._seen, self._registry, self._now_us, self._careful = seen, registry, now_us, careful
        self._judge, self._runs = Judge(adapter, contracts), runs
        self._strangers: tuple[int, frozenset[str]] = (-1, frozenset())

    async def agent(self, batches: Batches) -> AsyncIterator[list[Decided]]:
        """Decide batch after batch, a list each; one in which something fails is decided again record by record."""
        async for batch in batches:
            snapshot = await self._snapshot(batch.records)
            if self._runs is not None and (roles := await self._runs.roles(snapshot, batch.topic)) is not None:
                batch = replace(batch, roles=roles)  # noqa: PLW2901 the same batch, and what its clean events meet
            if self._careful is not None and self._careful.suspects(batch):
                async for decided in self._carefully(batch, snapshot, self._careful):
                    yield decided
            else:
                for decided in self._parts(batch, snapshot):
                    yield decided

    def _parts(self, batch: Batch, snapshot: Snapshot) -> Iterator[list[Decided]]:
        """Decide a batch, nearly always in one part; what comes of a part is written before the next is decided."""
        careful, rest, time_ms = self._careful, batch.records, batch.time_ms
        while rest:
            known = self._seen.read(())
            if careful is not None:
                careful.take(batch, rest[0].offset, rest[-1].offset)
            decided = self._decided(replace(batch, records=rest, time_ms=time_ms), snapshot, known)
            if careful is not None:
                careful.drop()
            done = decided[-1].decision.event.delivery
            taken = bisect_right(rest, done.record.offset, key=lambda record: record.offset)
            rest, time_ms = rest[taken:], done.time_ms
            yield decided

    def _decided(self, batch: Batch, snapshot: Snapshot, known: View) -> list[Decided]:
        before, now_us = known.remembered(), self._now_us()
        try:
            return self._judge.records(batch.records, batch.time_ms, batch.place, snapshot, known, now_us, batch.roles)
        except Exception:  # noqa: BLE001 rule 13: found out record by record
            _log.exception("batch_failed", topic=str(batch.topic.name), partition=batch.place.partition)
            known.forget(before)
            return self._one_by_one(batch, snapshot, known)

    def _one_by_one(self, batch: Batch, snapshot: Snapshot, known: View) -> list[Decided]:
        time_ms, decided = batch.time_ms, list[Decided]()
        for record in batch.records:
            if len(decided) >= _MOST_ALONE:
                break
            decided += self._alone(batch, record, time_ms, snapshot, known)
            time_ms = max(time_ms, record.timestamp_ms)
        return decided

    def _alone(self, batch: Batch, record: RawRecord, time_ms: int, snapshot: Snapshot, known: View) -> list[Decided]:
        """Decide one record; when that fails it goes to quarantine whole and nothing of it is remembered."""
        before = known.remembered()
        try:
            return self._judge.records([record], time_ms, batch.place, snapshot, known, self._now_us(), batch.roles)
        except Exception as exc:  # noqa: BLE001 rule 13: this record stops nobody
            _log.exception("record_failed", topic=str(batch.topic.name), offset=record.offset)
            known.forget(before)
            return self._whole(batch, _broken(record, self._judge.sources, time_ms, exc), snapshot, known)

    def _whole(self, batch: Batch, found: Delivery, snapshot: Snapshot, known: View) -> list[Decided]:
        return self._judge.deliveries([found], batch.place, snapshot, known, self._now_us())

    async def _carefully(self, batch: Batch, snapshot: Snapshot, careful: Careful) -> AsyncIterator[list[Decided]]:
        """Decide record by record, the suspect ones after a child has lived through it; the others are poison."""
        time_ms = batch.time_ms
        for record in batch.records:
            known = self._seen.read(())
            tried = await careful.tried(batch, record, time_ms, snapshot, known.look)
            if tried.how is None:
                careful.take(batch, record.offset, record.offset)
                decided = self._alone(batch, record, time_ms, snapshot, known)
                careful.drop()
            else:
                sources = self._judge.sources.at(snapshot.sources)
                decided = self._whole(batch, poison(record, tried, sources, time_ms), snapshot, known)
            time_ms = max(time_ms, record.timestamp_ms)
            yield decided

    async def _snapshot(self, records: Sequence[RawRecord]) -> Snapshot:
        """Return the registry, asked anew when a record names a source that is not known yet (a new one may be)."""
        snapshot = self._registry.current()
        strangers = frozenset(named for named in _named(records) if named not in snapshot.sources)
        if not strangers or (self._strangers[0] == snapshot.revision and strangers <= self._strangers[1]):
            return snapshot
        snapshot = await self._registry.refresh()
        known_before = self._strangers[1] if self._strangers[0] == snapshot.revision else frozenset()
        still = frozenset(found for found in strangers if found not in snapshot.sources)
        self._strangers = (snapshot.revision, frozenset([*known_before, *still][:_MAX_STRANGERS]))
        return snapshot


def _named(records: Sequence[RawRecord]) -> set[str]:
    """Return the source ids that records name, "" for none."""
    found: set[bytes] = set()
    for record in records:
        headers = record.headers
        if len(headers) > SOURCE_AT and headers[SOURCE_AT][0] == HB_SOURCE_ID:
            found.add(headers[SOURCE_AT][1] or b"")
        else:
            found.add(next((value or b"" for name, value in headers if name == HB_SOURCE_ID), b""))
    return {named.decode("utf-8", "replace") for named in found}


def _broken(record: RawRecord, sources: Sources, time_ms: int, exc: Exception) -> Delivery:
    """Make the delivery of a record whose decision failed: everything known of it, and the fault."""
    fault = Fault(Reason.BAD_RECORD, "", f"deciding this record failed: {type(exc).__name__}")
    time_ms = max(time_ms, record.timestamp_ms)
    try:
        return msgspec.structs.replace(delivery(record, sources, time_ms), items=(), fault=fault)
    except Exception:  # noqa: BLE001 its headers are what fails
        return Delivery(record, time_ms, None, None, {}, (), fault)
