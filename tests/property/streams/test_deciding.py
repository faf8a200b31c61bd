"""What must hold for any bytes: total, one outcome an item, payload bytes unchanged, an id clean at most once."""

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.reasons import Outcome
from streams.account import Account
from tests.unit.streams.bodies import ROWS
from tests.unit.streams.made import Partition, record, source

SCHEMA = b'{"properties": {"n": {"type": "integer"}}}'
IDS = st.sampled_from(["a", "b", "c"])
ITEM = st.fixed_dictionaries(
    {}, optional={"id": IDS, "n": st.integers(0, 2) | st.text(max_size=2), "type": st.sampled_from(["x", "ping", "no"])}
)
CE = (("ce-id", "1"), ("ce-source", "/s"), ("ce-specversion", "1.0"), ("ce-type", "x"), ("ce-\u00e9", '"\u00ff'))
SCALAR = st.none() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)


def partition(**definition: Any) -> Partition:
    return Partition(source(pins={"*": "s@1"}, eventTypes={"deny": ["no"]}, **definition), s=SCHEMA)


TYPES = st.sampled_from(
    [None, "application/json", "text/plain", "\u00ff", "application/x-ndjson", "application/x-www-form-urlencoded",
     "multipart/form-data; boundary=b", "application/cloudevents+json", "application/json; charset=utf-16"]
)  # fmt: skip
BODIES = st.binary(max_size=60) | st.sampled_from([body for rows in ROWS.values() for row in rows for body in row.sent])


@given(st.lists(BODIES, max_size=5), TYPES, st.sampled_from([(), (("content-encoding", "gzip"),), CE]))
def test_any_bytes_have_at_least_one_outcome_and_its_records(
    bodies: list[bytes], content_type: str | None, more: tuple[tuple[str, str], ...]
) -> None:
    headers = more if content_type is None else (("content-type", content_type), *more)
    records = [record(value, n, headers=headers) for n, value in enumerate(bodies)]
    found = partition().emit(*records)
    assert {one.decision.event.delivery.record.offset for one in found} == set(range(len(bodies)))
    for one in found:
        if one.decision.outcome is Outcome.CLEAN:
            assert json.loads(one.records[0].value or b"")["payload"] == json.loads(one.decision.event.item.payload)


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=20)), max_size=12), st.binary(max_size=20))
def test_any_headers_have_one_outcome(headers: list[tuple[str, bytes]], value: bytes) -> None:
    good = dict(record(b"").headers)
    mixed = tuple((good | dict(headers)).items())
    for made in (tuple(headers), mixed, tuple((name, b"\xff" + had) for name, had in good.items())):
        assert partition().decide(record(value, raw_headers=made))


@given(st.lists(st.lists(ITEM | SCALAR, max_size=4), max_size=6))
def test_every_item_has_exactly_one_outcome_and_an_id_is_clean_once(deliveries: list[list[Any]]) -> None:
    records = [record(json.dumps(items).encode(), n, delivery_id=str(n)) for n, items in enumerate(deliveries)]
    decisions = partition().decide(*records)
    places = [(one.event.delivery.record.offset, one.event.item.number) for one in decisions]
    expected = [(n, k) for n, items in enumerate(deliveries) for k in range(max(1, len(items)))]
    assert places == expected
    clean = Counter(one.event_id for one in decisions if one.outcome is Outcome.CLEAN)
    assert all(n == 1 for n in clean.values())
    kept = {one.event_id for one in decisions if one.outcome in (Outcome.CLEAN, Outcome.QUARANTINED)}
    assert all(one.event_id in kept for one in decisions if one.outcome is Outcome.DUPLICATE)
    account = Account(0)
    account.add(decisions, len(records))
    ledger = account.record("t", "i", 0, "0", 1)
    assert ledger.items == sum(count.n for count in ledger.counts) == len(decisions)
    assert len(ledger.others) == sum(1 for one in decisions if one.outcome is not Outcome.CLEAN)


@given(
    st.dictionaries(st.text(), SCALAR | st.lists(SCALAR, max_size=3), max_size=5),
    st.sampled_from([None, 1, 3]),
    st.sampled_from(["", " ", "\r\n\t"]),
    st.booleans(),
)
def test_a_clean_event_holds_the_payload_byte_for_byte(
    value: dict[str, Any], indent: int | None, space: str, batch: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=True)
    body = f"[{space}{text}{space}]" if batch else f"{space}{text}{space}"
    (found,) = Partition(source()).emit(record(body.encode()))
    if found.decision.outcome is Outcome.CLEAN:
        written = found.records[0].value or b""
        assert written.endswith(b',"payload":' + text.encode() + b"}")
        assert json.loads(written)["payload"] == value
    else:
        assert "\\ud" in text or found.decision.outcome is Outcome.CONTROL
