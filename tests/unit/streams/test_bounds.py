"""The bounds inside a decision: nesting, items and steps, never time (rule 13). Bytes: the topic's own limit."""

import gzip
import json

import pytest

from schemas.definitions.view import Snapshot
from schemas.reasons import Outcome, Reason
from streams.judge import Judge
from streams.seen import Seen
from streams.shapes.json_text import MAX_DEPTH
from streams.split import MAX_ITEMS
from tests.unit.streams.made import PLACE, VENDOR, Partition, record, snapshot, source

EXPLODES = json.dumps({"properties": {"s": {"pattern": r"^(?:(a|aa)+)+\1c$"}}}).encode()


def reason(body: bytes) -> Reason | None:
    (found,) = Partition(source()).decide(record(body))
    assert found.outcome is Outcome.QUARANTINED
    return None if found.fault is None else found.fault.reason


def test_nesting_is_bounded_however_the_containers_mix() -> None:
    deep = b'[{"a":' * MAX_DEPTH + b"1" + b"}]" * MAX_DEPTH
    assert reason(deep) is Reason.TOO_DEEP
    assert reason(b"[" * 100_000) is Reason.NOT_PARSEABLE


def test_items_of_a_delivery_are_bounded() -> None:
    assert reason(b"[" + b",".join([b"{}"] * (MAX_ITEMS + 1)) + b"]") is Reason.TOO_MANY_ITEMS
    found = Partition(source()).decide(record(b"[" + b",".join([b"{}"] * MAX_ITEMS) + b"]"))
    assert len(found) == MAX_ITEMS


def test_a_pattern_that_explodes_fails_the_event_and_holds_nobody_up() -> None:
    partition = Partition(source(pins={"*": "s@1"}), s=EXPLODES)
    body = json.dumps({"id": "1", "s": "a" * 200}).encode()
    poisoned, after = partition.decide(record(body, 0), record(b'{"id":"2","s":"x"}', 1, delivery_id="2"))
    assert poisoned.fault is not None
    assert (poisoned.outcome, poisoned.fault.reason) == (Outcome.QUARANTINED, Reason.SCHEMA_VIOLATION)
    assert "backtracking" in poisoned.fault.message
    assert after.outcome is Outcome.QUARANTINED  # it does not match, and was judged at once


class Nothing:
    """Knows nothing, and remembers nothing."""

    def fetch(self, _keys: object) -> None:
        """Read nothing."""

    def look(self, _key: bytes) -> Seen | None:
        return None

    def remember(self, _key: bytes, _state: Seen) -> None:
        """Forget it."""


MANY = b"[" + b",".join([b"{}"] * 100) + b"]"
INFLATES = gzip.compress(b'{"a":"' + b"x" * 100_000 + b'"}')


@pytest.mark.parametrize(
    ("body", "headers", "items"),
    [(MANY, (), 200), (INFLATES, (("Content-Encoding", "gzip"),), 2)],
    ids=["many items", "inflates"],
)
def test_what_small_bodies_become_is_decided_some_at_a_time(body: bytes, headers: tuple[()], items: int) -> None:
    judge = Judge(lambda _platform: VENDOR, most_weight=110_000)
    given = (("Content-Type", "application/json"), *headers)
    records = [record(body, n, delivery_id=str(n), headers=given) for n in range(5)]
    shown: Snapshot = snapshot(source())
    found = judge.records(records, 0, PLACE, shown, Nothing(), 1)
    assert (len(found), found[-1].decision.event.delivery.record.offset) == (items, 1), "whole records, and two of five"
