"""The agent of raw topics: parse, identify, look up, validate, decide, write (spec section 7).

Lives here: the sentence, and that one bad record stops nobody (rule 13). Not here: any of the words of the sentence.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

import msgspec

from schemas.contracts import Library
from schemas.definitions.view import Snapshot
from schemas.logs import logger
from schemas.ports import RegistryView
from schemas.reasons import Reason
from schemas.vendors.base import Vendor
from schemas.wire.raw import HB_SOURCE_ID, RawRecord
from streams.decide import decide
from streams.emit import Decided, emit
from streams.engine.agent import Batch, Batches
from streams.engine.table import FirstSeenTable, View
from streams.identify import identify
from streams.parse import Delivery, Fault, delivery, parse
from streams.sources import Sources

_MAX_STRANGERS = 1_000
_log = logger(__name__)


class Ingest:
    """The agent's body; `adapter` gives the vendor of a platform, `now_us` the wall clock for people."""

    def __init__(
        self,
        seen: FirstSeenTable,
        registry: RegistryView,
        adapter: Callable[[str], Vendor],
        now_us: Callable[[], int],
        contracts: Library | None = None,
    ) -> None:
        self._seen, self._registry, self._adapter, self._now_us = seen, registry, adapter, now_us
        self._contracts = contracts or Library()
        self._sources = Sources()
        self._strangers: tuple[int, frozenset[str]] = (-1, frozenset())

    async def agent(self, batches: Batches) -> AsyncIterator[list[Decided]]:
        """Decide batch after batch, a list each; one in which something fails is decided again record by record."""
        async for batch in batches:
            snapshot = await self._snapshot(batch.records)
            try:
                decided = self._decided(batch, batch.records, batch.time_ms, snapshot, self._seen.read(()))
            except Exception:  # noqa: BLE001 rule 13: found out record by record
                _log.exception("batch_failed", topic=str(batch.topic.name), partition=batch.place.partition)
                decided = list(self._one_by_one(batch, snapshot))
            yield decided

    def _decided(
        self, batch: Batch, records: Sequence[RawRecord], time_ms: int, snapshot: Snapshot, known: View
    ) -> list[Decided]:
        """Decide records in order, each knowing what the ones before it became."""
        return self._judge(batch, parse(records, self._sources.at(snapshot.sources), time_ms), snapshot, known)

    def _judge(self, batch: Batch, deliveries: Iterable[Delivery], snapshot: Snapshot, known: View) -> list[Decided]:
        events = list(identify(deliveries, self._adapter, batch.place.topic_id))
        known.fetch([event.key for event in events])
        now_us, place, contracts = self._now_us(), batch.place, self._contracts
        look, remember, position = known.look, known.remember, place.position
        decided = []
        for event in events:
            at = position(event.delivery.record.offset, event.item.number)
            one = emit(decide(event, look, at, snapshot, contracts), place, now_us)
            decision = one.decision
            if decision.write is not None:
                remember(decision.key, decision.write)
            decided.append(one)
        return decided

    def _one_by_one(self, batch: Batch, snapshot: Snapshot) -> Iterator[Decided]:
        """Decide each record alone; one that fails goes to quarantine whole and nothing of it is remembered."""
        known, time_ms = self._seen.read(()), batch.time_ms
        for record in batch.records:
            before = known.remembered()
            try:
                yield from self._decided(batch, [record], time_ms, snapshot, known)
            except Exception as exc:  # noqa: BLE001 rule 13: this record stops nobody
                _log.exception("record_failed", topic=str(batch.topic.name), offset=record.offset)
                known.forget(before)
                broken = _broken(record, self._sources, time_ms, exc)
                yield from self._judge(batch, [broken], snapshot, known)
            time_ms = max(time_ms, record.timestamp_ms)

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
        for name, value in record.headers:
            if name == HB_SOURCE_ID:
                found.add(value or b"")
                break
        else:
            found.add(b"")
    return {named.decode("utf-8", "replace") for named in found}


def _broken(record: RawRecord, sources: Sources, time_ms: int, exc: Exception) -> Delivery:
    """Make the delivery of a record whose decision failed: everything known of it, and the fault."""
    fault = Fault(Reason.BAD_RECORD, "", f"deciding this record failed: {type(exc).__name__}")
    time_ms = max(time_ms, record.timestamp_ms)
    try:
        return msgspec.structs.replace(delivery(record, sources, time_ms), items=(), fault=fault)
    except Exception:  # noqa: BLE001 its headers are what fails
        return Delivery(record, time_ms, None, None, {}, (), fault)
