"""Items where a vendor keeps them: followed by path, sliced as sent, each with what its proof covers."""

from typing import Any

import orjson
import pytest

from schemas.errors import Poison
from schemas.reasons import Reason
from schemas.vendors import VENDORS
from streams.split import MAX_ITEMS, split
from streams.texts import pointer_parts

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
