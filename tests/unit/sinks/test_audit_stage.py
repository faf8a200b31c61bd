"""The stage's sum: an honest history holds, each way of breaking one is found and its first position named."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from schemas.reasons import Outcome
from sinks.audit.stage import Raw
from tests.unit.sinks.histories import TOPIC_ID, History, other, record


def first(history: History) -> str:
    """Return the first finding as it is printed."""
    found = history.check().findings.in_order()
    assert found, "nothing was found"
    return str(found[0])


def holds(history: History) -> None:
    assert [str(one) for one in history.check().findings.in_order()] == []


def test_an_honest_history_holds() -> None:
    row = History().check()
    assert row.findings.count == 0
    assert row.outcomes == {"clean": 3, "duplicate": 2, "quarantined": 1, "empty": 1}
    assert (row.first, row.end, row.pending, row.lost, row.notes) == (0, 6, 1, 0, [])


def _missing_clean(h: History) -> None:
    h.clean.remove((1, 1, "c"))


def _missing_first_item(h: History) -> None:
    h.clean.remove((1, 0, "b"))


def _missing_delivery(h: History) -> None:
    h.clean.remove((0, 0, "a"))


def _doubled(h: History) -> None:
    h.clean.append((1, 1, "c"))


def _clean_and_quarantined(h: History) -> None:
    h.clean.append((3, 0, "q"))


def _never_stored(h: History) -> None:
    h.clean.append((7, 0, "x"))


def _not_in_quarantine(h: History) -> None:
    h.failed.clear()


def _quarantined_by_nobody(h: History) -> None:
    h.failed.append((1, 0, "b"))


def _gap(h: History) -> None:
    h.ledger[1] = replace(h.ledger[1], first=3, others=h.ledger[1].others[1:], items=3, counts=h.ledger[1].counts[1:])


def _late_start(h: History) -> None:
    h.ledger.pop(0)
    h.clean.clear()


def _overlap(h: History) -> None:
    h.ledger.insert(1, record(1, 2, 2))


def _counts_and_items(h: History) -> None:
    h.ledger[0] = replace(h.ledger[0], items=4)


def _counts_too_few(h: History) -> None:
    h.ledger[0] = record(0, 2, 2)


def _list_and_counts(h: History) -> None:
    h.ledger[1] = replace(h.ledger[1], others=h.ledger[1].others[:-1])


def _outside_its_range(h: History) -> None:
    h.ledger[0] = record(0, 2, 3, [other(9, 0, Outcome.EMPTY, "e")])


def _hole_in_the_log(h: History) -> None:
    h.raw = Raw(0, 7, ((1, 2),))


def _lost_and_there(h: History) -> None:
    h.ledger[1] = replace(h.ledger[1], next_offset=7, lost=((6, 7),))


def _orphan(h: History) -> None:
    h.ledger[1] = record(2, 6, 0, [other(2, 0, Outcome.DUPLICATE, "a", (1, 0)), *h.ledger[1].others[1:]])


def _orphan_under_another_id(h: History) -> None:
    h.ledger[1] = record(2, 6, 0, [other(2, 0, Outcome.DUPLICATE, "z", (0, 0)), *h.ledger[1].others[1:]])


def _first_copy_unnamed(h: History) -> None:
    h.ledger[1] = record(2, 6, 0, [other(2, 0, Outcome.DUPLICATE, "a"), *h.ledger[1].others[1:]])


def _resolved_by_nothing(h: History) -> None:
    h.resolved_by.append((5, 0))


def _redriven_item_forgotten(h: History) -> None:
    h.raw = Raw(0, 7, (), {1: frozenset({0, 1, 4})})


def _redriven_unasked(h: History) -> None:
    h.raw = Raw(0, 7, (), {1: frozenset({1})})


@pytest.mark.parametrize(
    ("mutate", "at", "what"),
    [
        (_missing_clean, "0/0", "offsets 0 to 1 have 3 clean items in the ledger, 2 in the topic"),
        (_missing_first_item, "0/0", "offsets 0 to 1"),
        (_missing_delivery, "0/0", "has no outcome"),
        (_doubled, "0/0", "4 in the topic"),
        (_clean_and_quarantined, "2/0", "offsets 2 to 5 have 0 clean items in the ledger, 1 in the topic"),
        (_never_stored, "7/0", "no such record is in the raw topic"),
        (_not_in_quarantine, "3/0", "is 1 times quarantined in the ledger, 0 times in the quarantine topic"),
        (_quarantined_by_nobody, "1/0", "is 0 times quarantined in the ledger"),
        (_gap, "2/0", "no ledger record covers offsets 2 to 2"),
        (_late_start, "0/0", "no ledger record covers offsets 0 to 1"),
        (_overlap, "1/0", "two ledger records cover offsets 1 to 1"),
        (_counts_and_items, "0/0", "says 4 items"),
        (_counts_too_few, "0/0", "have 2 clean items in the ledger, 3 in the topic"),
        (_list_and_counts, "2/0", "counts"),
        (_outside_its_range, "9/0", "outside its own offsets"),
        (_hole_in_the_log, "1/0", "were not written off"),
        (_lost_and_there, "6/0", "was written off as lost and is in the raw topic"),
        (_orphan, "2/0", "its first copy at offset 1, item 0, is neither clean nor quarantined"),
        (_orphan_under_another_id, "2/0", "is neither clean nor quarantined under its id"),
        (_first_copy_unnamed, "2/0", "names no first copy"),
        (_resolved_by_nothing, "5/0", "resolves a quarantined event and is not clean"),
        (_redriven_item_forgotten, "1/4", "was named by a redrive and has no outcome"),
        (_redriven_unasked, "1/0", "has an outcome no redrive asked for"),
    ],
)  # fmt: skip
def test_a_broken_history_is_found_with_its_first_position(
    mutate: Callable[[History], None], at: str, what: str
) -> None:
    history = History()
    mutate(history)
    said = [str(one) for one in history.check().findings.in_order()]
    assert any(one.startswith(f"{TOPIC_ID}/0/{at}: ") and what in one for one in said), said
    assert first(history).split(":")[0] <= f"{TOPIC_ID}/0/{at}"


def test_the_item_that_is_doubled_or_missing_is_named_as_well() -> None:
    doubled, missing = History(), History()
    _doubled(doubled)
    _missing_first_item(missing)
    assert f"{TOPIC_ID}/0/1/1: has 2 outcomes" in [str(one) for one in doubled.check().findings.in_order()]
    assert any(
        str(one).startswith(f"{TOPIC_ID}/0/1/0: has no outcome, later") for one in missing.check().findings.first
    )


def test_a_lost_range_is_no_gap() -> None:
    history = History(raw=Raw(0, 9, ((6, 8),)))
    history.ledger.append(record(6, 9, 1, lost=((6, 8),)))
    history.clean.append((8, 0, "d"))
    holds(history)
    assert history.check().lost == 2


def test_an_outcome_inside_a_lost_range_is_found() -> None:
    history = History(raw=Raw(0, 9, ((6, 8),)))
    history.ledger.append(record(6, 9, 1, lost=((6, 8),)))
    history.clean.append((7, 0, "d"))
    assert f"{TOPIC_ID}/0/7/0: has an outcome and was written off as lost" in [
        str(one) for one in history.check().findings.first
    ]


def test_offsets_used_again_after_a_truncated_log_are_compared_by_sum() -> None:
    history = History(raw=Raw(0, 5))
    history.ledger.append(record(4, 5, 1, lost=((4, 6),)))
    history.clean.append((4, 0, "new"))
    holds(history)
    assert any("truncated" in note for note in history.check().notes)
    history.clean.append((4, 1, "stray"))
    assert "some used twice" in first(history)


def test_what_retention_removed_is_left_out() -> None:
    history = History(whole=False, floor=2, quarantine_floor=4, raw=Raw(4, 7))
    history.ledger.pop(0)
    history.clean.clear()
    history.failed.clear()
    holds(history)
    row = history.check()
    assert row.first == 2
    assert "from offset 2 on" in row.notes
    assert "quarantined from offset 4 on" in row.notes
    assert "2 duplicates whose first copy is no longer kept" in row.notes


def test_a_redrive_that_decides_its_named_items_holds() -> None:
    holds(History(raw=Raw(0, 7, (), {1: frozenset({0, 1})})))


def test_a_deleted_raw_topic_leaves_the_rest_checkable() -> None:
    history = History(raw=None)
    holds(history)
    history.clean.append((1, 1, "c"))
    assert history.check().findings.count
