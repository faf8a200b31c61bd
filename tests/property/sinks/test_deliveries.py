"""The way of a delivery from what was read: every item once, no snapshot that does not hold it, nothing guessed."""

from collections.abc import Generator, Mapping
from typing import Any, cast

from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from ingress.api.resources.delivery_shapes import DeliveryAnswer
from schemas.reasons import Outcome
from schemas.wire.ledger import Count, First, Ledger, Other
from schemas.wire.position import Position
from schemas.wire.raw import AuthResult, RawMeta
from sinks.read.deliveries import ordered, outcomes, way
from sinks.read.deliveries.budget import Budget
from sinks.read.deliveries.commits import Commit, Commits, Landed, Taken
from sinks.read.deliveries.facts import Facts, FirstCopy, InTable, items
from sinks.read.deliveries.log import Log, Place
from sinks.read.deliveries.records import Clean, Stored

TOPIC_ID, SLOT = "RAWTOPICIDRAWTOPICID01", ("CLEANTOPICIDCLEANTOPI1", 0)
NAMES = [one.value for one in Outcome if one is not Outcome.LOST]
HISTORY = st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5), min_size=1, max_size=6)
"""Outcomes of the items of each delivery of one ledger record."""


def ledger(history: list[list[str]], first: int) -> Ledger:
    others = [
        Other(first + offset, item, "s", name, None, "e", First(0, 0, 0) if name == Outcome.DUPLICATE else None)
        for offset, delivery in enumerate(history)
        for item, name in enumerate(delivery)
        if name != Outcome.CLEAN
    ]
    total = sum(map(len, history))
    counts = (Count("s", "t", 0, Outcome.CLEAN.value, total - len(others)),)
    return Ledger("t", TOPIC_ID, 0, first, first + len(history), "0", 1, total, counts, tuple(others))


def cleans(history: list[list[str]], first: int, offset: int) -> list[Clean]:
    return [
        Clean(item, "e", "t", "", "", None, None, None, "d", Position(TOPIC_ID, 0, offset, item))
        for item, name in enumerate(history[offset - first])
        if name == Outcome.CLEAN
    ]


@given(HISTORY, st.integers(0, 1000), st.data())
def test_every_item_of_a_delivery_is_told_once_with_its_outcome(
    history: list[list[str]], first: int, data: st.DataObject
) -> None:
    offset = first + data.draw(st.integers(0, len(history) - 1))
    found = items(offset, ledger(history, first), cleans(history, first, offset))
    assert [(item.number, item.outcome) for item in found] == list(enumerate(history[offset - first]))


@given(HISTORY, st.integers(0, 1000))
def test_outcomes_of_the_list_are_those_of_the_items_or_not_told(history: list[list[str]], first: int) -> None:
    record = ledger(history, first)
    for at, delivery in enumerate(history):
        found, clean = outcomes.names(record, first + at)
        assert found == set(delivery) - {Outcome.CLEAN.value}
        assert clean in (None, Outcome.CLEAN.value in delivery)
        assert clean is not None or found, "a delivery of which nothing is listed is clean"


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 130), st.integers(0, 11))
def test_an_event_is_in_the_one_snapshot_whose_offsets_passed_it(steps: list[int], offset: int, kept_from: int) -> None:
    ends = [sum(steps[: n + 1]) for n in range(len(steps))]
    kept_from = min(kept_from, len(ends) - 1)
    kept = tuple(Commit(n, n * 1000, {SLOT: ends[n]}) for n in range(kept_from, len(ends)))
    table = Commits(kept, {SLOT: ends[-1]}, {SLOT: 0}, whole=kept_from == 0)
    taken = table.take(SLOT, offset)
    truth = next((n for n, end in enumerate(ends) if offset < end), None)
    if truth is None:
        assert (taken.state, taken.lag) == (Landed.PENDING, offset - ends[-1] + 1)
    elif truth > kept_from or (truth == kept_from == 0):
        assert taken.state is Landed.COMMITTED
        assert taken.commit == Commit(truth, truth * 1000, {SLOT: ends[truth]})
    else:
        assert (taken.state, taken.commit, taken.before_ms) == (Landed.COMMITTED, None, kept_from * 1000)
    assert table.take(("OTHERTOPICIDOTHERTOPI1", 0), offset) == Taken(Landed.PENDING)


class _Message:
    def __init__(self, offset: int, key: int | None) -> None:
        self._offset, self.raw = offset, key

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, self._offset * 10

    def value(self) -> bytes:
        return b""


class _MemoryLog:
    """A partition in memory; offsets without a record are markers."""

    def __init__(self, records: Mapping[int, int | None]) -> None:
        self.records = records

    def read(self, spans: Mapping[Place, tuple[int, int]], budget: Budget) -> Generator[_Message, None, None]:
        ((first, end),) = spans.values()
        for offset in sorted(self.records):
            if first <= offset < end and not budget.spent:
                budget.take(0)
                yield _Message(offset, self.records[offset])


@given(st.data())
def test_records_of_a_raw_offset_are_found_wherever_the_hint_points(data: st.DataObject) -> None:
    gaps = data.draw(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3), st.booleans()), max_size=60))
    records: dict[int, int | None] = {}
    offset, key = data.draw(st.integers(0, 50)), 0
    low = offset
    for gap, more, foreign in gaps:
        records[offset] = None if foreign else key
        offset, key = offset + gap, key + more
    wanted, hint = data.draw(st.integers(0, key + 2)), data.draw(st.integers(0, offset + 9))
    log = cast("Log", _MemoryLog(records))

    def key_of(message: Message) -> int | None:
        return cast("_Message", message).raw

    found = ordered.find(log, ("t", 0), (low, offset), wanted, key_of, hint, Budget(lambda: 0.0))
    assert [message.offset() for message in found.messages] == [at for at, raw in records.items() if raw == wanted]
    later = any(raw is not None and raw > wanted for raw in records.values())
    assert found.later == later
    before = [at for at, raw in records.items() if raw is not None and raw < wanted]
    assert (found.before_ms or 0) <= max(before, default=0) * 10


TAKEN = st.sampled_from(
    [
        Taken(Landed.COMMITTED, Commit(7, 1_700_000_000_000, {})), Taken(Landed.COMMITTED, before_ms=1_700_000_000_000),
        Taken(Landed.PENDING, lag=3), Taken(Landed.PENDING), Taken(Landed.NOT_SELECTED), Taken(Landed.SKIPPED),
        Taken(Landed.EXPIRED, before_ms=1_700_000_000_000, expired_before_ms=1_699_920_000_000),
    ]
)  # fmt: skip


@given(HISTORY, st.data())
def test_an_answer_is_what_the_document_says(history: list[list[str]], data: st.DataObject) -> None:
    found = cleans(history, 0, 0)
    landed = {
        one.position.item: [
            InTable("acme.t", "t", "id", "running", data.draw(TAKEN), data.draw(st.none() | st.just(9)))
        ]
        for one in found
    }
    meta = RawMeta("d", "s", "acme", 1, "POST", "/", "", (("a", "b"),), AuthResult("none", "none"))
    position = Position(TOPIC_ID, 0, 0, 0)
    known = data.draw(st.booleans())
    facts = Facts(
        "d", Stored("acme.webhook.x", position, meta, 5, 9) if known else None, position,
        record=ledger(history, 0), decided=True, cleans=found, firsts={(0, 0): FirstCopy("x", 1)}, tables=landed,
        source={"id": "s", "name": None}, now_ms=1_700_000_000_000, why=["x"],
    )  # fmt: skip
    limit = data.draw(st.integers(1, 6))
    answer: dict[str, Any] = way.wire(facts, 0, limit)
    checked = DeliveryAnswer.model_validate({**answer, "receipt": None})
    assert len(checked.items) == min(limit, len(history[0]))
    assert sum(answer["decided"]["outcomes"].values()) == len(history[0])
    states = {one.taken.state for many in landed.values() for one in many}
    taken = not states.isdisjoint({Landed.COMMITTED, Landed.EXPIRED})
    assert (answer["state"] == "committed") == (taken and Landed.PENDING not in states)
