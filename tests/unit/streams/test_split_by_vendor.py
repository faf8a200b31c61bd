"""Items where a vendor keeps them: followed by path, sliced as sent, each with what its proof covers."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from schemas.errors import Poison
from schemas.reasons import Outcome, Reason
from schemas.vendors import VENDORS, adapter
from streams import split as split_module
from streams.decide import Decision
from streams.emit import emit
from streams.identify import identify
from streams.parse import parse
from streams.shapes.read import How, read
from streams.sources import Sources
from streams.split import MAX_ITEMS, split
from streams.texts import pointer_parts
from tests.unit.streams.made import PLACE, TOPIC_ID, record, snapshot, source

META = tuple(pointer_parts(each) for each in VENDORS["meta"].split)
ADYEN = tuple(pointer_parts(each) for each in VENDORS["adyen"].split)


def items(body: bytes, paths: tuple[tuple[str, ...], ...]) -> list[tuple[int, bytes, Any]]:
    return [(one.number, one.payload, one.outer) for one in split(body, orjson.loads(body), paths)]


def test_items_keep_their_bytes_and_know_the_object_around_their_array() -> None:
    body = b'{"entry":[{"id":"1","changes":[ {"a": 1.0} , {"b":"\\u00e9"}]},{"id":"2","changes":[{"c":2}]}]}'
    first, second = orjson.loads(body)["entry"]
    assert items(body, META) == [
        (0, b'{"a": 1.0}', first),
        (1, b'{"b":"\\u00e9"}', first),
        (2, b'{"c":2}', second),
    ]


def test_an_item_may_stand_inside_a_wrapper() -> None:
    body = b'{"live":"false","notificationItems":[{"NotificationRequestItem":{"pspReference":"1"}}]}'
    assert items(body, ADYEN) == [(0, b'{"pspReference":"1"}', orjson.loads(body))]


def test_the_second_path_is_taken_where_the_first_does_not_fit() -> None:
    body = b'{"entry":[{"id":"1","messaging":[{"message":{"mid":"m"}}]}]}'
    assert items(body, META)[0][1] == b'{"message":{"mid":"m"}}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"entry":[{"changes":[1]},{"messaging":[2]}]}',
        b'{"entry":{"changes":[]}}',
        b'{"entry":[1]}',
        b'{"object":"page"}',
        b'{"entry":null}',
    ],
)
def test_another_shape_is_one_item(body: bytes) -> None:
    assert items(b" " + body + b"\n", META) == [(0, body, None)]


def test_an_empty_batch_has_no_items() -> None:
    assert items(b'{"value":[]}', (("value", "*"),)) == []


def test_of_equal_names_the_last_counts_for_value_and_bytes() -> None:
    body = b'{"value":[{"a":1}],"value":[{"a":2}]}'
    [one] = split(body, orjson.loads(body), (("value", "*"),))
    assert (one.payload, one.value) == (b'{"a":2}', {"a": 2})


def test_items_of_a_path_are_bounded() -> None:
    body = b'{"value":[' + b",".join([b"1"] * (MAX_ITEMS + 1)) + b"]}"
    with pytest.raises(Poison) as caught:
        items(body, (("value", "*"),))
    assert caught.value.reason is Reason.TOO_MANY_ITEMS


def test_only_the_first_item_of_a_batch_is_covered_where_it_alone_was_signed() -> None:
    body = b'[{"a":1},{"a":2}]'
    assert [one.coverage for one in split(body, orjson.loads(body), first_covered=True)] == ["full", "none"]
    assert [one.coverage for one in split(body, orjson.loads(body))] == [None, None]


def envelopes(body: bytes, paths: tuple[tuple[str, ...], ...]) -> list[bytes | None]:
    return [one.envelope for one in split(body, orjson.loads(body), paths)]


def test_the_envelope_is_the_enclosing_json_without_the_array_as_sent() -> None:
    body = (
        b'{"live": "false", "notificationItems":[{"NotificationRequestItem":{"a":1}},{"NotificationRequestItem":{}}]}'
    )
    assert envelopes(body, ADYEN) == [b'{"live":"false"}'] * 2
    body = (
        b'{"object":"page","entry":[{"id":"1","time":1.50,"changes":[{"a":1},{"b":2}]},'
        b'{"id":18446744073709551617,"changes":[{"c":3}]}],"more":{"x": [1 ]}}'
    )
    first, again, second = envelopes(body, META)
    assert first is again
    assert first == b'{"object":"page","entry":{"id":"1","time":1.50},"more":{"x": [1 ]}}'
    assert second == b'{"object":"page","entry":{"id":18446744073709551617},"more":{"x": [1 ]}}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"value":[{"a":1}]}', [None]),
        (b'[{"value":1}]', [None]),
        (b'{"a":1}', [None]),
        (b'{"value":[],"x":1}', []),
        (b'{"value":[{"a":1}],"\\u00e9":1,"x":1,"x":2}', [b'{"\xc3\xa9":1,"x":2}']),
    ],
)
def test_where_nothing_stands_around_an_item_there_is_no_envelope(body: bytes, expected: list[bytes | None]) -> None:
    assert envelopes(body, (("value", "*"),)) == expected


def test_the_envelopes_of_a_delivery_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"value":[{},{},{}],"around":"' + b"x" * 100 + b'"}'
    assert len(envelopes(body, (("value", "*"),))) == 3
    monkeypatch.setattr(split_module, "MAX_AROUND", 250)
    with pytest.raises(Poison) as caught:
        envelopes(body, (("value", "*"),))
    assert caught.value.reason is Reason.TOO_LARGE
    form = b"payload=[{},{},{}]&around=" + b"x" * 100
    with pytest.raises(Poison) as caught:
        read(form, {"content-type": "application/x-www-form-urlencoded"}, How(form="payload"))
    assert caught.value.reason is Reason.TOO_LARGE


def test_fields_beside_a_form_s_payload_join_what_stands_around_its_items() -> None:
    form = b'payload={"live":true,"value":[{"a":1}]}&tenant=7'
    how = How(form="payload", paths=(("value", "*"),))
    [one] = read(form, {"content-type": "application/x-www-form-urlencoded"}, how)[0]
    assert (one.payload, one.envelope) == (b'{"a":1}', b'{"tenant":"7","live":true}')


def test_clean_events_carry_coverage_and_envelope_of_their_own_item() -> None:
    """By the clean event's own members, as consumers read them (spec section 3)."""
    view = replace(source(), platform="adyen")
    body = b'{"live": "false","notificationItems":[{"NotificationRequestItem":{"pspReference":"1","n":1.50}}]}'
    sources = Sources().at(snapshot(view).sources)
    [event] = identify(parse([record(body)], sources, 0), adapter, TOPIC_ID)
    made = emit(Decision(event, Outcome.CLEAN, event.event_id), PLACE, 5, lambda _key: None).records[0]
    assert made.value is not None
    assert made.value.endswith(b',"envelope":{"live":"false"},"payload":{"pspReference":"1","n":1.50}}')
    assert b'"authCoverage":"none"' in made.value
