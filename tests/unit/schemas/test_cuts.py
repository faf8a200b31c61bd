"""What `partitionBy` and `sortBy` take, and what they say of the rest."""

import pytest

from schemas.definitions.base import read
from schemas.definitions.cuts import Cut, Order, cut, cuts, order, orders
from schemas.definitions.stream import StreamDefinition
from schemas.errors import Refused

STREAM = {"name": "s", "topics": ["{tenantId}.webhook.slack"], "targetTable": "t"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("day(received_at)", Cut("day", "received_at")),
        (" hour( event_time ) ", Cut("hour", "event_time")),
        ("event_type", Cut("identity", "event_type")),
        ("identity(source)", Cut("identity", "source")),
        ("bucket(16,vendor_event_id)", Cut("bucket", "vendor_event_id", 16)),
    ],
)
def test_a_term_is_read_and_written_in_one_form(text: str, expected: Cut) -> None:
    assert cut(text) == expected
    assert cut(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "payload", "day(payload)", "day(event_type)", "minute(event_time)", "received_at", "event_id",
     "bucket(event_id)", "bucket(1, event_id)", "bucket(65, event_id)", "bucket(9999, event_id)",
     "bucket(4, event_type)", "truncate(4, event_id)", "day(4, event_time)", "day(event_time", "day((event_time))",
     "DAY(event_time)", "event_type; drop table"],
)  # fmt: skip
def test_another_term_is_refused_with_what_can_be_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"day|buckets"):
        cut(text)


def test_a_column_is_cut_and_sorted_by_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        cuts(("day(event_time)", "hour(event_time)"))
    with pytest.raises(ValueError, match="twice"):
        orders(("event_time", "event_time desc"))


def test_an_order_has_a_column_and_a_direction() -> None:
    assert (order("event_time"), order("event_time asc"), order("event_id  desc")) == (
        Order("event_time"), Order("event_time"), Order("event_id", descending=True),
    )  # fmt: skip
    for text in ("", "payload.n", "event_time down", "desc"):
        with pytest.raises(ValueError, match="is no order"):
            order(text)


def test_a_stream_keeps_them_in_one_form_and_refuses_others() -> None:
    made = read(StreamDefinition, {**STREAM, "partitionBy": ["hour( event_time )", "source"], "sortBy": ["event_id"]})
    assert made.partition_by == ("hour(event_time)", "source")
    for field, value in (("partitionBy", ["payload.amount"]), ("sortBy", ["payload.amount"])):
        with pytest.raises(Refused, match=r"payload\.amount"):
            read(StreamDefinition, {**STREAM, field: value})
