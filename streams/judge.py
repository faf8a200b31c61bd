"""Raw records -> decisions with their records: the pure part of the stage in one call (spec section 7).

Lives here: the order parse, identify, look up, validate, decide, emit. Not here: which process runs it: the worker's
agent (agents/ingest.py) or a child that may die of it (trial.py). Pure but for the compiled contracts it keeps.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from schemas.contracts import Library
from schemas.definitions.view import Snapshot
from schemas.reasons import Outcome
from schemas.vendors.base import Vendor
from schemas.wire.raw import RawRecord
from streams.decide import decide
from streams.emit import Decided, Place, emit
from streams.identify import Event, identify
from streams.parse import Delivery, parse
from streams.roles import Roles
from streams.seen import Seen
from streams.sources import Sources

_PORTION_BYTES = 32 << 10
"""Of payload decided at a time: what is read of it should fit the processor's cache."""
MOST_WEIGHT = 32 << 20
"""Payload bytes, and `_ITEM_WEIGHT` for each item, decided in one call: a small body may inflate, or hold 10,000."""
_ITEM_WEIGHT = 1 << 10
Adapter = Callable[[str], Vendor]
"""Gives the vendor of a platform; named in a module, so that a child process can import it."""


class Known(Protocol):
    """What is remembered while records are decided; `look` sees what `remember` was told."""

    def fetch(self, keys: Iterable[bytes]) -> None:
        """Read keys at once."""

    def look(self, key: bytes) -> Seen | None:
        """Return what is remembered under `key`."""

    def remember(self, key: bytes, state: Seen) -> None:
        """Let the next look-ups see `state`."""


class Judge:
    """Decides; keeps nothing but sources and contracts worked out once."""

    def __init__(self, adapter: Adapter, contracts: Library | None = None, most_weight: int = MOST_WEIGHT) -> None:
        self._adapter, self._most = adapter, most_weight
        self._contracts = contracts or Library()
        self.sources = Sources()

    def records(
        self,
        records: Sequence[RawRecord],
        time_ms: int,
        place: Place,
        snapshot: Snapshot,
        known: Known,
        now_us: int,
        roles: Roles | None = None,
    ) -> list[Decided]:
        """Decide records of one partition in order, each knowing what the ones before it became.

        As many of them, the first at least, as are decided in one call; whole ones.
        """
        deliveries = parse(records, self.sources.at(snapshot.sources), time_ms)
        return self.deliveries(deliveries, place, snapshot, known, now_us, roles)

    def deliveries(
        self,
        deliveries: Iterable[Delivery],
        place: Place,
        snapshot: Snapshot,
        known: Known,
        now_us: int,
        roles: Roles | None = None,
    ) -> list[Decided]:
        """Decide deliveries in order, some at a time; the values of their items are let go.

        `roles`: what clean events meet, None for nothing.
        """
        decided: list[Decided] = []
        events: list[Event] = []
        size = weight = 0
        for event in identify(deliveries, self._adapter, place.topic_id):
            if (
                weight >= self._most
                and event.delivery is not (events[-1] if events else decided[-1].decision.event).delivery
            ):
                break
            events.append(event)
            bytes_ = len(event.item.payload)
            size += bytes_
            weight += bytes_ + _ITEM_WEIGHT
            if size >= _PORTION_BYTES:
                self._decide(events, place, snapshot, known, now_us, decided, roles)
                events, size = [], 0
        self._decide(events, place, snapshot, known, now_us, decided, roles)
        return decided

    def _decide(
        self,
        events: list[Event],
        place: Place,
        snapshot: Snapshot,
        known: Known,
        now_us: int,
        decided: list[Decided],
        roles: Roles | None,
    ) -> None:
        known.fetch([event.key for event in events])
        look, remember, position, contracts = known.look, known.remember, place.position, self._contracts
        for event in events:
            at = position(event.delivery.record.offset, event.item.number)
            one = emit(decide(event, look, at, snapshot, contracts), place, now_us, look)
            decision = one.decision
            if decision.write is not None:
                remember(decision.key, decision.write)
            if roles is not None and decision.outcome is Outcome.CLEAN:
                one = roles.with_runs(one, place)
            decided.append(one)
            event.item.forget()
