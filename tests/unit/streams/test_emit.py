"""Records: sizes, partitions, keys, times; ledger partitions and lost ranges."""

import json

import pytest

from schemas.reasons import Outcome
from schemas.topics import range_partition
from schemas.wire import quarantine
from streams.account import Account
from streams.emit import Limits
from streams.seen import Seen, key, source_of, source_prefix
from streams.texts import at, clean_text, pointer_parts, rfc3339, without
from tests.unit.streams.made import PLACE, Partition, record, source

SMALL = PLACE._replace(limits=Limits(4_000, 4_000))


def test_a_clean_event_goes_to_the_partition_it_came_from_under_its_id() -> None:
    (found,) = Partition(source()).emit(record(b'{"id":"a","at":1773828000123}', 7))
    (made,) = found.records
    event = json.loads(made.value or b"")
    assert (made.topic, made.partition, made.key.decode()) == (PLACE.event, PLACE.partition, event["eventId"])
    assert event["position"] == {"topicId": PLACE.topic_id, "partition": 1, "offset": 7, "item": 0}
    assert (event["eventTime"], event["eventTimeSource"]) == ("2026-03-18T10:00:00.123Z", "payload")
    assert (event["source"], event["sourceKind"], event["deliveryId"]) == ("shop-main", "webhook.shop", "delivery-1")


def test_a_clean_event_larger_than_its_topic_takes_is_quarantined_with_its_position() -> None:
    (decided,) = Partition(source(), SMALL).emit(record(b'{"id":"a","x":"' + b"y" * 5_000 + b'"}', 7))
    kept = quarantine.decode(decided.records[0].value or b"")
    assert (decided.decision.outcome, kept.reason, kept.payload) == (Outcome.QUARANTINED, "too_large", b"")
    assert str(PLACE.position(7, 0)) in kept.message
    assert decided.decision.write is not None
    assert not decided.decision.write.clean


def test_an_event_that_is_too_large_is_in_quarantine_once() -> None:
    large, other = (b'{"id":"a","x":"' + letter * 5_000 + b'"}' for letter in (b"y", b"z"))
    decided = Partition(source(), SMALL).emit(*(record(body, n) for n, body in enumerate((large, large, other, other))))
    assert [(one.decision.outcome, len(one.records)) for one in decided] == [
        (Outcome.QUARANTINED, 1), (Outcome.DUPLICATE, 0), (Outcome.QUARANTINED, 1), (Outcome.DUPLICATE, 0),
    ]  # fmt: skip
    assert [one.decision.of for one in decided[1::2]] == [PLACE.position(0, 0), PLACE.position(2, 0)]
    assert decided[0].decision.event_id != decided[2].decision.event_id


def test_quarantine_keeps_the_bytes_as_sent() -> None:
    (found,) = Partition(source()).emit(record(b" {not json\xff"))
    assert quarantine.decode(found.records[0].value or b"").payload == b" {not json\xff"


def test_times_show_microseconds_only_where_there_are_any() -> None:
    assert rfc3339(1_773_828_000_123_000) == "2026-03-18T10:00:00.123Z"
    assert rfc3339(1_773_828_000_123_456) == "2026-03-18T10:00:00.123456Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(253_402_300_799_999_999) == "9999-12-31T23:59:59.999999Z"


def test_a_group_writes_its_own_range_of_the_ledger() -> None:
    keys = [f"k{n}".encode() for n in range(200)]
    ranges = [{range_partition(one, slot, 4, 8) for one in keys} for slot in (0, 1)]
    assert ranges == [{0, 1, 2, 3}, {4, 5, 6, 7}]
    assert [range_partition(one, 1, 4, 8) - 4 for one in keys] == [range_partition(one, 0, 4, 4) for one in keys]
    assert {range_partition(one, 1, 4, 4) for one in keys} == {0, 1, 2, 3}  # it has not grown yet


def test_a_loss_is_part_of_the_range_and_no_item() -> None:
    account = Account(5)
    account.lose(5, 9, 9)
    record_ = account.record("t", "i", 0, "0", 1)
    assert (record_.first, record_.next_offset, record_.items, record_.lost) == (5, 9, 0, ((5, 9),))


def test_a_state_comes_back_as_packed() -> None:
    state = Seen(PLACE.position(2**40, 9_999), 123, clean=True, fingerprint=b"12345678")
    assert Seen.unpack(state.pack()) == state
    assert source_of(key("s", "5553ce72-8cbf-56c0-9427-fc11b97578e5")) == source_prefix("s")


def test_volatile_members_are_left_out_without_touching_the_value() -> None:
    value = {"a": {"b": 1, "c": 2}, "d/e": 3}
    assert without(value, ("/a/b", "/d~1e", "/x/y", "/a/b/c")) == {"a": {"c": 2}}
    assert value == {"a": {"b": 1, "c": 2}, "d/e": 3}


@pytest.mark.parametrize(
    ("pointer", "found"),
    [("/a/0", "x"), ("/a/1", "7"), ("/a/2", None), ("/b", None), ("/a", None), ("/t", None), ("/a/99999999999", None)],
)
def test_a_pointer_finds_texts_and_integers_only(pointer: str, found: str | None) -> None:
    assert at({"a": ["x", 7], "t": True}, pointer_parts(pointer)) == found


def test_text_that_no_encoder_takes_is_written_as_escapes() -> None:
    assert clean_text("a\ud800") == "a\\ud800"
    assert clean_text("ä" * 2_000) == "ä" * 1_024
