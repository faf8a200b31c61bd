"""The bounds inside a decision: nesting, items and steps, never time (rule 13). Bytes: the topic's own limit."""

import json

from schemas.reasons import Outcome, Reason
from streams.shapes.json_text import MAX_DEPTH
from streams.split import MAX_ITEMS
from tests.unit.streams.made import Partition, record, source

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
