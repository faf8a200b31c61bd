"""The checker itself can fail: each way to break a history is found (a negative control, no broker needed)."""

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.history import (
    Cut,
    Decided,
    Held,
    History,
    Place,
    Position,
    Redriven,
    Resolved,
    Row,
    Table,
    content,
)
from tests.faults.rules import excused_by_cuts, faults

TOPIC, CLEAN = "topic-id", "clean-topic-id"
RAW = (TOPIC, 0)


def _at(offset: int, item: int = 0) -> Position:
    return Position(TOPIC, 0, offset, item)


def _other(offset: int, outcome: str, event_id: str, of: int | None = None) -> dict[str, Any]:
    first = None if of is None else {"partition": 0, "offset": of, "item": 0}
    return {"offset": offset, "item": 0, "outcome": outcome, "eventId": event_id, "of": first}


def _of(offset: int, item: int) -> dict[str, int]:
    return {"partition": 0, "offset": offset, "item": item}


def _must(**kinds: str) -> dict[tuple[str, str], dict[str, str]]:
    return {("orders", name): {content({"id": name}): kind} for name, kind in kinds.items()}


def _clean(offset: int, event_id: str, value: Any, place: int = 0, schema: str | None = None) -> Decided:
    return Decided(_at(offset), event_id, value, schema, "order.made", Place(CLEAN, 0, place))


def _record(start: int, end: int, clean: int, others: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    counts = [{"outcome": "clean", "n": clean}]
    counts += [{"outcome": name, "n": n} for name, n in Counter(each["outcome"] for each in others).items()]
    items = clean + len(others)
    where = {"topic": "t.webhook.orders", "topicId": TOPIC, "partition": 0, "from": start, "to": end}
    return {**where, "items": items, "counts": counts, "others": others, "lost": [], **more}


def sound() -> History:
    """Return a history that holds every rule.

    0 is clean, 1 its duplicate, 2 quarantined, 3 its duplicate, 4 quarantined and its good copy 5 clean.
    """
    values = ("a", "a", "b", "b", "c", "c")
    items = {_at(offset): {"id": value} for offset, value in enumerate(values)}
    others = [_other(1, "duplicate", "A", 0), _other(2, "quarantined", "B"), _other(3, "duplicate", "B", 2)]
    return History(
        items=items,
        stored=Counter(f"d{n}" for n in range(6)),
        ends={RAW: 6},
        clean=[_clean(0, "A", {"id": "a"}), _clean(5, "C", {"id": "c"}, 1)],
        quarantined=[Decided(_at(2), "B", {"id": "b"}), Decided(_at(4), "C", {"id": "c"})],
        resolved=[Resolved(_at(4), "C", _at(5))],
        ledger=[_record(0, 6, 2, [*others, _other(4, "quarantined", "C")])],
        tables=[
            Table("all", {(CLEAN, 0): 0}, [Row(_at(0), "A"), Row(_at(5), "C")]),
            Table("latest", {(CLEAN, 0): 1}, [Row(_at(5), "C")]),
            Table("nothing", {(CLEAN, 0): 0}, [], lambda _event_type: False),
        ],
        acked={"d0", "d1"},
        must=_must(a="valid", b="invalid", c="depends"),
        platforms={TOPIC: "orders"},
        judge=lambda schema, _value: schema == "orders@1",
    )


def cut() -> History:
    """Return a sound history in which a tail was cut: 6 and 7 were decided, the log lost them and was written again.

    What was cut: 6 clean (d), 7 undecided (e). What stands there now: 6 clean (f).
    """
    base = sound()
    ledger = [
        base.ledger[0],
        _record(6, 7, 1, []),
        _record(6, 6, 0, [], lost=[{"from": 6, "to": 7}]),
        _record(6, 7, 1, []),
    ]
    return replace(
        base,
        items={**base.items, _at(6): {"id": "f"}},
        cut_items={_at(6): {"id": "d"}, _at(7): {"id": "e"}},
        cuts={RAW: Cut(6, 8)},
        ends={RAW: 7},
        clean=[*base.clean, _clean(6, "D", {"id": "d"}, 2), _clean(6, "F", {"id": "f"}, 3)],
        ledger=ledger,
        tables=[Table("all", {(CLEAN, 0): 1}, [Row(_at(5), "C"), Row(_at(6), "D"), Row(_at(6), "F")])],
        must=_must(e="valid", f="valid"),
        excused={("orders", "d"), ("orders", "e")},
    )


WHOLE = [{"id": "r"}, {"id": "s"}]
"""A delivery that nobody could read at first."""


def redriven() -> History:
    """Return a sound history of redrives, behind `sound`; the end is mended and everything is redriven.

    6 is a delivery of two items, of which item 1 (d) is quarantined; 7 its redrive, clean. 8 is a delivery that nobody
    could read; 9 its redrive: r is clean, s as well. 10 repeats 9: duplicates that settle the row once more. Meanwhile
    the topic was paused, and both of our own tables hold what their topics do.
    """
    base = sound()
    two = [{"id": "e"}, {"id": "d"}]
    items = {_at(6, 0): two[0], _at(6, 1): two[1], _at(7, 1): two[1], _at(8): WHOLE}
    items |= {_at(offset, item): WHOLE[item] for offset in (9, 10) for item in (0, 1)}
    clean = [
        Decided(_at(6, 0), "E", two[0], None, "order.made", Place(CLEAN, 0, 2)),
        Decided(_at(7, 1), "D", two[1], None, "order.made", Place(CLEAN, 0, 3)),
        Decided(_at(9, 0), "R", WHOLE[0], None, "order.made", Place(CLEAN, 0, 4)),
        Decided(_at(9, 1), "S", WHOLE[1], None, "order.made", Place(CLEAN, 0, 5)),
    ]
    others = [
        {**_other(6, "quarantined", "D"), "item": 1}, _other(8, "quarantined", "W"),
        _other(10, "duplicate", "R", 9), {**_other(10, "duplicate", "S"), "item": 1, "of": _of(9, 1)},
    ]  # fmt: skip
    rows = [Row(each.position, each.event_id) for each in clean]
    twice = Redriven(TOPIC, 0, 8, (), ("W",))
    notes = [Resolved(_at(8), name, _at(9, n)) for name, n in (("R", 0), ("S", 1)) for _ in range(2)]
    return replace(
        base,
        items={**base.items, **items},
        ends={RAW: 11},
        clean=[*base.clean, *clean],
        quarantined=[
            Decided(_at(2), "B", {"id": "b"}), Decided(_at(4), "C", {"id": "c"}), Decided(_at(6, 1), "D", two[1]),
            Decided(_at(8), "W", WHOLE),
        ],
        resolved=[*base.resolved, Resolved(_at(6, 1), "D", _at(7, 1)), *notes],
        ledger=[*base.ledger, _record(6, 11, 4, others)],
        tables=[Table("all", {(CLEAN, 0): 0}, [Row(_at(0), "A"), Row(_at(5), "C"), *rows])],
        must={**base.must, **_must(e="valid", d="depends", r="valid", s="valid")},
        wrapped={("orders", name, content({"id": name})) for name in "rs"},
        redriven={(TOPIC, 0, 7): Redriven(TOPIC, 0, 6, (1,), ("D",)), (TOPIC, 0, 9): twice, (TOPIC, 0, 10): twice},
        held=[Held(RAW, 3, 3)],
        pairs={name: (Counter(name), Counter(name)) for name in ("ledger", "quarantine", "runs", "minutes")},
        settled=True,
        mendable=lambda _platform, value: value != {"id": "b"},
    )  # fmt: skip


def _ledger(history: History, n: int = 0, **change: Any) -> History:
    changed = [{**record, **change} if at == n else record for at, record in enumerate(history.ledger)]
    return replace(history, ledger=changed)


def _without_other(history: History, offset: int) -> History:
    return _ledger(history, others=[each for each in history.ledger[0]["others"] if each["offset"] != offset])


def _without_ledger(history: History, n: int) -> History:
    return replace(history, ledger=[record for at, record in enumerate(history.ledger) if at != n])


def _orphan(history: History) -> History:
    """State written before the commit: the first copy was aborted, its repeats still count as duplicates."""
    others = [*history.ledger[0]["others"], _other(0, "duplicate", "A", 0)]
    return replace(history, ledger=[_record(0, 6, 1, others)], clean=history.clean[1:])


def _table(history: History, name: str, rows: list[Row]) -> History:
    return replace(history, tables=[replace(t, rows=rows) if t.name == name else t for t in history.tables])


def _decided_by(history: History, schema: str) -> History:
    return replace(history, clean=[_clean(0, "A", {"id": "a"}, schema=schema), history.clean[1]])


BREAKS: dict[str, tuple[str, Callable[[History], History]]] = {
    "an acknowledged delivery is not stored": ("acknowledged", lambda h: replace(h, acked={"d9"})),
    "a delivery is stored twice": ("acknowledged", lambda h: replace(h, stored=h.stored + Counter(["d0"]))),
    "an item has no outcome": ("one_outcome", lambda h: _without_other(h, 1)),
    "an item has two outcomes": ("one_outcome", lambda h: replace(h, clean=[*h.clean, _clean(1, "A2", {})])),
    "an outcome without an item": ("one_outcome", lambda h: replace(h, items={_at(0): {"id": "a"}})),
    "another item's content": ("content", lambda h: replace(h, items={**h.items, _at(0): {"id": "other"}})),
    "a quarantine record is missing": ("quarantine_agrees", lambda h: replace(h, quarantined=[])),
    "a range is missing": ("ranges", lambda h: _ledger(h, **{"from": 1})),
    "a range is there twice": ("ranges", lambda h: replace(h, ledger=h.ledger * 2)),
    "the end was not reached": ("ranges", lambda h: replace(h, ends={RAW: 7})),
    "a range was lost": ("ranges", lambda h: _ledger(h, lost=[{"from": 0, "to": 1}])),
    "a partition was never decided": ("ranges", lambda h: replace(h, ends={**h.ends, (TOPIC, 1): 1})),
    "counts do not add up": ("sums", lambda h: _ledger(h, items=5)),
    "an item of the log is not counted": ("sums", lambda h: replace(h, items={**h.items, _at(0, 1): {"id": "z"}})),
    "an id is clean twice": ("no_id_twice", lambda h: replace(h, clean=[*h.clean, *h.clean])),
    "an id is quarantined twice": ("no_id_twice", lambda h: replace(h, quarantined=h.quarantined * 2)),
    "a resolved record is missing": ("resolutions", lambda h: replace(h, resolved=[])),
    "a resolved record is there twice": ("resolutions", lambda h: replace(h, resolved=h.resolved * 2)),
    "a row is missing": ("rows", lambda h: _table(h, "all", [Row(_at(0), "A")])),
    "a row is there twice": ("rows", lambda h: _table(h, "latest", [Row(_at(5), "C")] * 2)),
    "a row from before the start": ("rows", lambda h: _table(h, "latest", [Row(_at(0), "A"), Row(_at(5), "C")])),
    "a row that was filtered": ("rows", lambda h: _table(h, "nothing", [Row(_at(5), "C")])),
    "a duplicate of nothing": ("orphans", _orphan),
    "a duplicate of other content": ("orphans", lambda h: replace(h, items={**h.items, _at(1): {"id": "other"}})),
    "decided by no definition": ("definitions", lambda h: _decided_by(h, "orders@2")),
    "a valid event was quarantined": ("must", lambda h: replace(h, must=_must(b="valid"))),
    "an acknowledged event is nowhere": ("must", lambda h: replace(h, must=_must(z="valid"))),
    "an event was dropped in silence": ("must", lambda h: replace(h, must=_must(z="unpinned"))),
    "a reader saw something else": ("reader", lambda h: replace(h, reader=["something else"])),
}
CUT_BREAKS: dict[str, tuple[str, Callable[[History], History]]] = {
    "the loss is not told": ("ranges", lambda h: _without_ledger(h, 2)),
    "what was written again has no outcome": ("ranges", lambda h: _without_ledger(h, 3)),
    "what was written again was skipped": ("one_outcome", lambda h: replace(h, clean=h.clean[:-1])),
    "what was cut is clean twice": ("one_outcome", lambda h: replace(h, clean=[*h.clean, h.clean[-2]])),
    "more is called lost than was": (
        "ranges",
        lambda h: _ledger(h, 2, lost=[{"from": 5, "to": 7}]),
    ),
    "what nobody cut is excused": ("must", lambda h: replace(h, excused=set())),
}

_E = Decided(_at(6, 1), "D", {"id": "d"}, None, "order.made", Place(CLEAN, 0, 3))
REDRIVE_BREAKS: dict[str, tuple[str, Callable[[History], History]]] = {
    "a redrive decides an item that it does not name": (
        "one_outcome",
        lambda h: replace(h, clean=[*h.clean, replace(_E, position=_at(7, 0), event_id="E2")]),
    ),
    "an item that a redrive names has no outcome": ("one_outcome", lambda h: _without_clean(h, _at(7, 1))),
    "a redrive makes an id clean twice": (
        "no_id_twice",
        lambda h: replace(h, clean=[*h.clean, replace(_E, position=_at(10, 0), event_id="R")]),
    ),
    "a redrive makes a content clean under two ids": (
        "must",
        lambda h: replace(h, clean=[*h.clean, replace(_E, position=_at(10, 0), event_id="D#")]),
    ),
    "a settled row is not resolved": ("resolutions", lambda h: replace(h, resolved=h.resolved[:2])),
    "a repeat does not settle its row": ("resolutions", lambda h: replace(h, resolved=h.resolved[:-1])),
    "resolved, and it never failed": (
        "resolutions",
        lambda h: replace(h, resolved=[*h.resolved, Resolved(_at(0), "D", _at(7, 1))]),
    ),
    "resolved by what is not clean": (
        "resolutions",
        lambda h: replace(h, resolved=[*h.resolved, Resolved(_at(2), "B", _at(3))]),
    ),
    "what can be clean is open in the end": (
        "settled",
        lambda h: replace(h, mendable=lambda _platform, _value: True),
    ),
    "a paused topic was decided": ("paused", lambda h: replace(h, held=[Held(RAW, 3, 4)])),
    "a pause drops records": ("one_outcome", lambda h: _ledger(h, 1, others=h.ledger[1]["others"][:-2])),
    "a pause passes records over": ("ranges", lambda h: _ledger(h, 1, **{"from": 7})),
    "the quarantine table lacks a row": (
        "pairs",
        lambda h: replace(h, pairs={"quarantine": (Counter("b"), Counter())}),
    ),
    "a clean event has a run too many": (
        "pairs",
        lambda h: replace(h, pairs={"runs": (Counter("a"), Counter("ab"))}),
    ),
    "the minutes lack what the ledger counts": (
        "pairs",
        lambda h: replace(h, pairs={"minutes": (Counter(a=2), Counter(a=1))}),
    ),
    "the ledger table counts twice": (
        "pairs",
        lambda h: replace(h, pairs={"ledger": (Counter("a"), Counter("aa"))}),
    ),
    "what was wrapped is nowhere in the end": ("must", lambda h: replace(h, must={**h.must, **_must(z="valid")})),
}


def _without_clean(history: History, position: Position) -> History:
    return replace(history, clean=[each for each in history.clean if each.position != position])


@pytest.mark.parametrize("made", [sound, cut, redriven])
def test_a_sound_history_has_no_fault(made: Callable[[], History]) -> None:
    assert faults(made()) == []


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_history_is_found(name: str) -> None:
    rule, broken = BREAKS[name]
    found = faults(broken(deepcopy(sound())))
    assert any(fault.startswith(f"{rule}:") for fault in found), found


@pytest.mark.parametrize("name", CUT_BREAKS)
def test_a_broken_history_with_a_cut_is_found(name: str) -> None:
    rule, broken = CUT_BREAKS[name]
    found = faults(broken(deepcopy(cut())))
    assert any(fault.startswith(f"{rule}:") for fault in found), found


@pytest.mark.parametrize("name", REDRIVE_BREAKS)
def test_a_broken_history_of_redrives_and_pauses_is_found(name: str) -> None:
    rule, broken = REDRIVE_BREAKS[name]
    found = faults(broken(redriven()))
    assert any(fault.startswith(f"{rule}:") for fault in found), found


def test_what_a_deleted_topic_held_undecided_is_no_fault() -> None:
    base = sound()
    deleted = replace(
        base, gone={RAW}, ends={RAW: 7}, items={**base.items, _at(6): {"id": "g"}},
        must={**base.must, **_must(g="valid")}, excused={("orders", "g")},
    )  # fmt: skip
    assert faults(deleted) == []
    assert faults(replace(deleted, gone=set())) != []


SAID = (
    "{n} places break a sum; the first: source orders of t: {a} deliveries were answered 2xx, t.webhook.orders holds 7 "
    "of them"
)


@pytest.mark.parametrize(
    ("said", "excused"),
    [
        (SAID.format(n=1, a=10), True),
        (SAID.format(n=1, a=11), False),
        (SAID.format(n=2, a=10), False),
        ("1 places break a sum; the first: T/0/4/0: has no outcome", False),
        ("Traceback", False),
    ],
    ids=["no more than was cut", "more than was cut", "something else as well", "something else", "it did not run"],
)
def test_an_audit_may_miss_what_a_cut_took_and_nothing_else(said: str, excused: bool) -> None:
    assert excused_by_cuts(said, {"t.webhook.orders": 3}) is excused
