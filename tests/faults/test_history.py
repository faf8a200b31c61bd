"""The checker itself can fail: each way to break a history is found (a negative control, no broker needed)."""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.history import Decided, History, Position, Row, faults

TOPIC = "t.webhook.orders"


def _at(offset: int, item: int = 0) -> Position:
    return Position(TOPIC, 0, offset, item)


def _other(offset: int, outcome: str, event_id: str, of: int | None = None) -> dict[str, Any]:
    first = None if of is None else {"partition": 0, "offset": of, "item": 0}
    return {"offset": offset, "item": 0, "outcome": outcome, "eventId": event_id, "of": first}


def sound() -> History:
    """Return a history that holds every rule: 0 clean, 1 its duplicate, 2 quarantined, 3 its duplicate."""
    items = {_at(0): {"id": "a"}, _at(1): {"id": "a"}, _at(2): {"id": "b"}, _at(3): {"id": "b"}}
    counts = [{"outcome": name, "n": n} for name, n in (("clean", 1), ("duplicate", 2), ("quarantined", 1))]
    others = [_other(1, "duplicate", "A", 0), _other(2, "quarantined", "B"), _other(3, "duplicate", "B", 2)]
    record = {"topic": TOPIC, "partition": 0, "from": 0, "to": 4, "items": 4}
    return History(
        items=items,
        stored=Counter(f"d{n}" for n in range(4)),
        ends={(TOPIC, 0): 4},
        clean=[Decided(_at(0), "A", {"id": "a"})],
        quarantined=[Decided(_at(2), "B", {"id": "b"})],
        ledger=[{**record, "counts": counts, "others": others, "lost": []}],
        rows=[Row(_at(0), "A")],
        acked={"d0", "d1"},
        must={(TOPIC, "a"): True, (TOPIC, "b"): False},
        vendor_ids={position: item["id"] for position, item in items.items()},
    )


def _ledger(history: History, **change: Any) -> History:
    return replace(history, ledger=[{**history.ledger[0], **change}])


def _without_other(history: History, offset: int) -> History:
    return _ledger(history, others=[each for each in history.ledger[0]["others"] if each["offset"] != offset])


def _orphan(history: History) -> History:
    """State written before the commit: the first copy was aborted, its repeats still count as duplicates."""
    others = [*history.ledger[0]["others"], _other(0, "duplicate", "A", 0)]
    counts = [{"outcome": "duplicate", "n": 3}, {"outcome": "quarantined", "n": 1}]
    return replace(_ledger(history, others=others, counts=counts), clean=[], rows=[])


BREAKS: dict[str, tuple[str, Callable[[History], History]]] = {
    "an acknowledged delivery is not stored": ("acknowledged", lambda h: replace(h, acked={"d9"})),
    "a delivery is stored twice": ("acknowledged", lambda h: replace(h, stored=h.stored + Counter(["d0"]))),
    "an item has no outcome": ("one_outcome", lambda h: _without_other(h, 1)),
    "an item has two outcomes": ("one_outcome", lambda h: replace(h, clean=[*h.clean, Decided(_at(1), "A2", {})])),
    "an outcome without an item": ("one_outcome", lambda h: replace(h, items={_at(0): {"id": "a"}})),
    "a quarantine record is missing": ("quarantine_agrees", lambda h: replace(h, quarantined=[])),
    "a range is missing": ("ranges", lambda h: _ledger(h, **{"from": 1})),
    "the end was not reached": ("ranges", lambda h: replace(h, ends={(TOPIC, 0): 5})),
    "a range was lost": ("ranges", lambda h: _ledger(h, lost=[{"from": 0, "to": 1}])),
    "counts do not add up": ("sums", lambda h: _ledger(h, items=5)),
    "an id is clean twice": ("no_id_twice", lambda h: replace(h, clean=[*h.clean, *h.clean])),
    "a row is missing": ("rows", lambda h: replace(h, rows=[])),
    "a row is there twice": ("rows", lambda h: replace(h, rows=[*h.rows, *h.rows])),
    "a row of nothing": ("rows", lambda h: replace(h, rows=[*h.rows, Row(_at(2), "B")])),
    "a duplicate of nothing": ("orphans", _orphan),
    "a duplicate of other content": ("orphans", lambda h: replace(h, items={**h.items, _at(1): {"id": "other"}})),
    "a valid event was quarantined": ("must", lambda h: replace(h, must={(TOPIC, "b"): True})),
    "an acknowledged event is nowhere": ("must", lambda h: replace(h, must={(TOPIC, "z"): True})),
}


def test_a_sound_history_has_no_fault() -> None:
    assert faults(sound()) == []


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_history_is_found(name: str) -> None:
    rule, broken = BREAKS[name]
    found = faults(broken(deepcopy(sound())))
    assert any(fault.startswith(f"{rule}:") for fault in found), found
