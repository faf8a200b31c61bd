"""Exactly one outcome per item, by the rules of identity, windows, pins and quarantine."""

import json
from typing import Any

import pytest

from schemas.reasons import Outcome, Reason
from schemas.wire import quarantine
from schemas.wire.raw import Overrides, Redrive
from tests.unit.streams.made import PLACE, TOPIC_ID, Partition, record, snapshot, source

DAY_MS = 86_400_000
INTEGER = b'{"properties": {"n": {"type": "integer"}}}'


def body(**members: Any) -> bytes:
    return json.dumps(members).encode()


def outcomes(partition: Partition, *bodies: bytes) -> list[Outcome]:
    return [one.outcome for one in partition.decide(*(record(value, n) for n, value in enumerate(bodies)))]


def test_the_first_copy_is_clean_and_an_equal_one_a_duplicate_of_it() -> None:
    first, again = Partition(source()).decide(record(body(id="a", n=1), 3), record(body(n=1, id="a"), 4))
    assert (first.outcome, again.outcome) == (Outcome.CLEAN, Outcome.DUPLICATE)
    assert again.of == PLACE.position(3, 0)
    assert again.event_id == first.event_id


def test_volatile_members_make_no_other_content() -> None:
    found = outcomes(Partition(source()), body(id="a", meta={"attempt": 1}), body(id="a", meta={"attempt": 2}))
    assert found == [Outcome.CLEAN, Outcome.DUPLICATE]


def test_another_content_under_a_clean_id_is_a_conflict_once() -> None:
    bodies = body(id="a", n=1), body(id="a", n=2), body(id="a", n=2), body(id="a", n=3)
    found = Partition(source()).decide(*(record(value, n) for n, value in enumerate(bodies)))
    assert [one.outcome for one in found] == [
        Outcome.CLEAN, Outcome.QUARANTINED, Outcome.DUPLICATE, Outcome.QUARANTINED,
    ]  # fmt: skip
    assert found[1].fault is not None
    assert found[1].fault.reason is Reason.ID_CONFLICT
    assert found[2].of == PLACE.position(1, 0)
    assert len({one.event_id for one in found}) == 3


def test_ids_repeated_inside_a_delivery_are_seen() -> None:
    found = outcomes(Partition(source()), b'[{"id":"a"},{"id":"b"},{"id":"a"}]')
    assert found == [Outcome.CLEAN, Outcome.CLEAN, Outcome.DUPLICATE]


def test_an_id_outside_its_window_is_new_again() -> None:
    partition = Partition(source())
    at = 40 * DAY_MS
    partition.decide(record(body(id="a"), 0, at))
    inside, outside = partition.decide(
        record(body(id="a"), 1, at + 7 * DAY_MS), record(body(id="a"), 2, at + 7 * DAY_MS + 1)
    )
    assert (inside.outcome, outside.outcome) == (Outcome.DUPLICATE, Outcome.CLEAN)


def test_a_quarantined_id_counts_for_ninety_days_whatever_the_window() -> None:
    partition = Partition(source(pins={"*": "s@1"}), s=INTEGER)
    at = 40 * DAY_MS
    found = partition.decide(
        record(body(id="a", n="x"), 0, at), record(body(id="a", n="x"), 1, at + 90 * DAY_MS),
        record(body(id="a", n="x"), 2, at + 90 * DAY_MS + 1),
    )  # fmt: skip
    assert [one.outcome for one in found] == [Outcome.QUARANTINED, Outcome.DUPLICATE, Outcome.QUARANTINED]


def test_the_window_is_the_sources_own() -> None:
    partition = Partition(source(dedupe={"windowSeconds": 20 * DAY_MS // 1000}))
    found = partition.decide(
        record(body(id="a"), 0, 0), record(body(id="a"), 1, 20 * DAY_MS), record(body(id="a"), 2, 20 * DAY_MS + 1)
    )
    assert [one.outcome for one in found] == [Outcome.CLEAN, Outcome.DUPLICATE, Outcome.CLEAN]


def test_partition_time_never_goes_back() -> None:
    partition = Partition(source())
    partition.decide(record(body(id="new"), 0, 100 * DAY_MS), record(body(id="a"), 1, 50 * DAY_MS))
    (again,) = partition.decide(record(body(id="a"), 2, 100 * DAY_MS))
    assert again.outcome is Outcome.DUPLICATE


def test_an_id_that_expired_stays_expired_when_the_brokers_clock_goes_back() -> None:
    found = Partition(source()).decide(
        record(body(id="a"), 0, 0), record(body(id="b"), 1, 8 * DAY_MS), record(body(id="a"), 2, 0)
    )
    assert [one.outcome for one in found] == [Outcome.CLEAN] * 3
    assert found[2].write is not None
    assert found[2].write.time_ms == 8 * DAY_MS


def test_another_content_under_a_quarantined_id_is_kept_under_an_id_of_its_own_once() -> None:
    bodies = body(id="a", n="x"), body(id="a", n="y"), body(id="a", n="y")
    found = Partition(source(pins={"*": "s@1"}), s=INTEGER).decide(*(record(one, n) for n, one in enumerate(bodies)))
    assert [one.outcome for one in found] == [Outcome.QUARANTINED, Outcome.QUARANTINED, Outcome.DUPLICATE]
    assert found[0].event_id != found[1].event_id == found[2].event_id
    assert found[2].of == PLACE.position(1, 0)


def test_an_invalid_event_twice_is_one_quarantined_and_one_duplicate() -> None:
    partition = Partition(source(pins={"*": "s@1"}), s=INTEGER)
    first, again = partition.decide(record(body(id="a", n="x"), 0), record(body(id="a", n="x"), 1))
    assert (first.outcome, again.outcome) == (Outcome.QUARANTINED, Outcome.DUPLICATE)
    assert first.fault is not None
    assert (first.fault.reason, first.fault.pointer, first.schema) == (Reason.SCHEMA_VIOLATION, "/n", "s@1")


def test_a_quarantined_id_becomes_clean_once_and_says_what_it_resolves() -> None:
    partition = Partition(source(pins={"*": "s@1"}), s=INTEGER)
    decided = partition.emit(record(body(id="a", n="x"), 0), record(body(id="a", n=1), 1), record(body(id="a", n=1), 2))
    assert [one.decision.outcome for one in decided] == [Outcome.QUARANTINED, Outcome.CLEAN, Outcome.DUPLICATE]
    note = quarantine.decode(decided[1].records[1].value or b"")
    assert (note.kind, note.position, note.by) == ("resolved", PLACE.position(0, 0), PLACE.position(1, 0))


def test_control_types_are_counted_every_time_and_never_a_row() -> None:
    found = Partition(source()).emit(record(body(id="a", type="ping"), 0), record(body(id="a", type="ping"), 1))
    assert [(one.decision.outcome, one.records) for one in found] == [(Outcome.CONTROL, ())] * 2


def test_deny_wins_over_allow() -> None:
    partition = Partition(source(eventTypes={"allow": ["order.*"], "deny": ["order.test"]}))
    found = outcomes(partition, body(id="1", type="order.new"), body(id="2", type="order.test"), body(id="3"))
    assert found == [Outcome.CLEAN, Outcome.DROPPED_DENIED, Outcome.DROPPED_DENIED]


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [("allow", Outcome.CLEAN), ("quarantine", Outcome.QUARANTINED), ("drop", Outcome.DROPPED_UNPINNED)],
)
def test_an_unpinned_type_goes_by_the_sources_policy(policy: str, outcome: Outcome) -> None:
    assert outcomes(Partition(source(unpinned=policy)), body(id="a")) == [outcome]


def test_a_pin_that_the_registry_does_not_hold_keeps_the_event_in_quarantine() -> None:
    (found,) = Partition(source(pins={"*": "gone@1"})).decide(record(body(id="a")))
    assert found.fault is not None
    assert (found.outcome, found.fault.reason) == (Outcome.QUARANTINED, Reason.UNPINNED)


@pytest.mark.parametrize(
    ("value", "content_type", "reason"),
    [
        (b"{", "application/json", Reason.NOT_PARSEABLE),
        (b"", "application/json", Reason.NOT_PARSEABLE),
        (b'{"a":"\xff"}', "application/json", Reason.NOT_UTF8),
        (b"7", "application/vnd.shop+json; charset=utf-8", Reason.NOT_AN_OBJECT),
        (b"[" * 101 + b"]" * 101, "application/json", Reason.TOO_DEEP),
        (b"[" + b"{}," * 10_000 + b"{}]", "application/json", Reason.TOO_MANY_ITEMS),
        (b"<a/>", "text/xml", Reason.UNSUPPORTED_CONTENT_TYPE),
    ],
)
def test_what_cannot_be_read_is_one_quarantined_item_with_its_reason(
    value: bytes, content_type: str, reason: Reason
) -> None:
    (found,) = Partition(source()).decide(record(value, headers=(("content-type", content_type),)))
    assert found.fault is not None
    assert (found.outcome, found.fault.reason) == (Outcome.QUARANTINED, reason)


def test_a_body_nested_to_the_limit_is_read() -> None:
    value = b'{"a":' * 99 + b"[]" + b"}" * 99
    assert outcomes(Partition(source()), value) == [Outcome.CLEAN]


def test_an_empty_array_is_one_empty_outcome() -> None:
    assert outcomes(Partition(source()), b" [ ] ") == [Outcome.EMPTY]


def test_unreadable_headers_and_unknown_sources_are_bad_records() -> None:
    found = Partition(source()).emit(
        record(b"{}", 0, raw_headers=(("hb-version", b"9"),)), record(b"{}", 1, source_id="nobody")
    )
    kept = [quarantine.decode(one.records[0].value or b"") for one in found]
    assert [(one.reason, one.tenant_id, one.platform) for one in kept] == [("bad_record", "acme", "shop")] * 2


def test_equal_unreadable_bodies_of_two_deliveries_are_both_kept() -> None:
    found = Partition(source()).decide(record(b"{", 0, delivery_id="1"), record(b"{", 1, delivery_id="2"))
    assert [one.outcome for one in found] == [Outcome.QUARANTINED, Outcome.QUARANTINED]


def test_a_source_partitioned_by_event_uses_the_id_of_the_edge_and_nothing_else() -> None:
    partition = Partition(source("event"))
    found = partition.decide(
        record(body(id="x"), 0, event_id="edge"), record(body(id="x"), 1, event_id="edge"),
        record(body(id="x"), 2, event_id="other"),
    )  # fmt: skip
    assert [one.outcome for one in found] == [Outcome.CLEAN, Outcome.DUPLICATE, Outcome.CLEAN]
    assert found[0].event.vendor_event_id == "edge"


def test_an_id_for_the_whole_delivery_tells_the_items_of_a_batch_apart() -> None:
    found = Partition(source("event")).decide(
        record(b'[{"n":1},{"n":2}]', 0, event_id="edge"), record(b'[{"n":1},{"n":2}]', 1, event_id="edge")
    )
    assert [one.outcome for one in found] == [Outcome.CLEAN, Outcome.CLEAN, Outcome.DUPLICATE, Outcome.DUPLICATE]
    shared = Partition(source()).decide(record(b'[{"n":1},{"n":2}]', headers=(("X-Shop-Id", "d"),)))
    assert [one.outcome for one in shared] == [Outcome.CLEAN, Outcome.CLEAN]


def test_an_explicit_key_comes_before_what_the_vendor_says() -> None:
    said = Overrides(dedupe_key="k", event_type="order.new", source="till")
    found = Partition(source()).decide(record(body(id="1"), 0, overrides=said), record(body(id="2"), 1, overrides=said))
    assert [one.outcome for one in found] == [Outcome.CLEAN, Outcome.QUARANTINED]
    event = found[0].event
    assert (event.event_type, event.source_kind, event.source_identifier) == ("order.new", "webhook.till", "k")


def test_a_configured_path_identifies_alone() -> None:
    partition = Partition(source(dedupe={"path": "/order/key"}))
    assert outcomes(partition, b'{"order":{"key":7}}', b'{"order":{"key":7}}') == [Outcome.CLEAN, Outcome.DUPLICATE]


def test_a_weak_header_identifies_together_with_the_content() -> None:
    weak = (("X-Request-Id", "r"),)
    found = Partition(source()).decide(
        record(b'{"n":1}', 0, headers=weak), record(b'{"n":1}', 1, headers=weak), record(b'{"n":2}', 2, headers=weak)
    )
    assert [one.outcome for one in found] == [Outcome.CLEAN, Outcome.DUPLICATE, Outcome.CLEAN]


def test_bodies_without_any_id_are_all_kept_unless_the_source_says_body_hash() -> None:
    same = [record(b'{"n":1}', 0, delivery_id="1"), record(b'{"n":1}', 1, delivery_id="2")]
    assert [one.outcome for one in Partition(source()).decide(*same)] == [Outcome.CLEAN, Outcome.CLEAN]
    hashed = Partition(source(dedupe={"fallback": "bodyHash"})).decide(*same)
    assert [one.outcome for one in hashed] == [Outcome.CLEAN, Outcome.DUPLICATE]


def test_event_time_is_the_payloads_or_says_that_it_is_not() -> None:
    said, silent, odd = Partition(source()).decide(
        record(body(id="1", at=5_000), 0), record(body(id="2"), 1), record(body(id="3", at=10**20), 2)
    )
    assert (said.event.event_time_us, said.event.event_time_source) == (5_000_000, "payload")
    assert silent.event.event_time_source == odd.event.event_time_source == "received"


def test_a_shed_marker_is_one_shed_outcome() -> None:
    (found,) = Partition(source()).decide(record(b"", shed="sample"))
    assert found.outcome is Outcome.SHED


def test_a_redrive_decides_only_the_items_it_names() -> None:
    again = Redrive(TOPIC_ID, 1, 0, "job", (1,))
    found = Partition(source()).decide(record(b'[{"id":"a"},{"id":"b"}]', 9, redrive=again))
    assert [(one.event.item.number, one.event.vendor_event_id) for one in found] == [(1, "b")]


def test_a_conflict_redriven_as_distinct_becomes_clean_and_resolves_itself() -> None:
    partition = Partition(source())
    partition.decide(record(body(id="a", n=1), 0), record(body(id="a", n=2), 1))
    again = Redrive(TOPIC_ID, 1, 1, "job", (0,), as_distinct=True)
    (found,) = partition.decide(record(body(id="a", n=2), 2, redrive=again))
    assert (found.outcome, found.resolves) == (Outcome.CLEAN, PLACE.position(1, 0))


def again(offset: int, *items: int, named: tuple[str, ...] = (), distinct: bool = False) -> Redrive:
    return Redrive(TOPIC_ID, 1, offset, "job", items, as_distinct=distinct, event_ids=named)


def test_what_a_redrive_made_clean_counts_for_as_long_as_its_row_may_be_redriven() -> None:
    partition = Partition(source(pins={"*": "s@1"}), s=INTEGER)
    value, late = body(id="a", n="x"), 89 * DAY_MS
    (failed,) = partition.decide(record(value, 0, DAY_MS))
    partition.snapshot = snapshot(source())
    redrive = again(0, 0, named=(failed.event_id,))
    first, second = partition.decide(
        record(value, 1, 2 * DAY_MS, redrive=redrive), record(value, 2, 2 * DAY_MS + late, redrive=redrive)
    )
    assert (first.outcome, first.resolves, first.settles) == (Outcome.CLEAN, PLACE.position(0, 0), None)
    assert (second.outcome, second.settles) == (Outcome.DUPLICATE, None)
    (third,) = partition.decide(record(value, 3, 2 * DAY_MS + 2 * late, redrive=redrive))
    assert third.outcome is Outcome.DUPLICATE, "the second one made it count anew"


def test_a_delivery_nobody_could_read_is_redriven_whole_and_its_row_settled_by_what_is_clean() -> None:
    kept = Partition(source(parse={"contentType": "application/json"}))
    kept.snapshot = snapshot(source())
    value = b'[{"id":"a"},{"id":"b"}]'
    (failed,) = kept.decide(record(value, 0, headers=(("Content-Type", "text/x-unknown"),)))
    assert (failed.outcome, failed.event.item.payload) == (Outcome.QUARANTINED, value)
    kept.snapshot = snapshot(source(parse={"contentType": "application/json"}))
    more: dict[str, Any] = {"headers": (("Content-Type", "text/x-unknown"),)}
    more["redrive"] = again(0, named=(failed.event_id,))
    found = kept.emit(record(value, 1, **more), record(value, 2, **more))
    assert [one.decision.outcome for one in found] == [Outcome.CLEAN] * 2 + [Outcome.DUPLICATE] * 2
    notes = [quarantine.decode(each.value or b"") for one in found[:2] for each in one.records[1:]]
    assert [(note.kind, note.position, note.by) for note in notes] == [
        ("resolved", PLACE.position(0, 0), PLACE.position(1, 0)),
        ("resolved", PLACE.position(0, 0), PLACE.position(1, 1)),
    ]


def test_a_redriven_copy_of_what_is_clean_elsewhere_settles_its_row() -> None:
    partition = Partition(source(parse={"contentType": "application/json"}))
    value, odd = body(id="a"), (("Content-Type", "text/x-unknown"),)
    settings, partition.snapshot = partition.snapshot, snapshot(source())
    clean, failed = partition.decide(record(value, 0), record(value, 1, headers=odd))
    partition.snapshot = settings
    (found,) = partition.emit(record(value, 2, headers=odd, redrive=again(1, named=(failed.event_id,))))
    assert (found.decision.outcome, found.decision.of) == (Outcome.DUPLICATE, PLACE.position(0, 0))
    note = quarantine.decode(found.records[0].value or b"")
    assert (note.kind, note.position, note.by) == ("resolved", PLACE.position(1, 0), PLACE.position(0, 0))
    assert clean.event_id == found.decision.event_id


@pytest.mark.parametrize("value", [b"not json", b"[]", b'[{"id":"a"}]'])
def test_items_that_a_redrive_names_and_nobody_finds_stay_as_they_are(value: bytes) -> None:
    redrive = again(0, 1, 2, named=("one", "two"))
    found = Partition(source()).decide(record(value, 9, redrive=redrive))
    assert [(one.outcome, one.event.item.number, one.event_id, one.of, one.write) for one in found] == [
        (Outcome.DUPLICATE, 1, "one", PLACE.position(0, 1), None),
        (Outcome.DUPLICATE, 2, "two", PLACE.position(0, 2), None),
    ]


def test_as_distinct_is_for_rows_under_an_id_of_their_own_and_changes_no_other() -> None:
    partition = Partition(source(pins={"*": "s@1"}), s=INTEGER)
    plain, other = body(id="a", n="x"), body(id="a", n="y")
    one, two = partition.decide(record(plain, 0), record(other, 1))
    partition.snapshot = snapshot(source())
    first, second, third = partition.decide(
        record(plain, 2, redrive=again(0, 0, named=(one.event_id,), distinct=True)),
        record(other, 3, redrive=again(1, 0, named=(two.event_id,), distinct=True)),
        record(plain, 4, redrive=again(0, 0, named=(one.event_id,))),
    )
    assert (first.outcome, first.event_id, first.resolves) == (Outcome.CLEAN, one.event_id, PLACE.position(0, 0))
    assert (second.outcome, second.event_id, second.resolves) == (Outcome.CLEAN, two.event_id, PLACE.position(1, 0))
    assert third.outcome is Outcome.DUPLICATE


def test_another_content_redriven_without_distinct_stays_and_takes_no_id() -> None:
    partition = Partition(source(pins={"*": "s@1"}), s=INTEGER)
    one, two = partition.decide(record(body(id="a", n="x"), 0), record(body(id="a", n="y"), 1))
    partition.snapshot = snapshot(source())
    (found,) = partition.decide(record(body(id="a", n="y"), 2, redrive=again(1, 0, named=(two.event_id,))))
    assert (found.outcome, found.event_id, found.of) == (Outcome.DUPLICATE, two.event_id, PLACE.position(1, 0))
    (first,) = partition.decide(record(body(id="a", n="x"), 3, redrive=again(0, 0, named=(one.event_id,))))
    assert (first.outcome, first.resolves) == (Outcome.CLEAN, PLACE.position(0, 0))


@pytest.mark.parametrize("is_distinct", [False, True])
def test_a_content_that_became_clean_under_the_plain_id_is_no_second_event_when_it_is_redriven(
    is_distinct: bool,
) -> None:
    partition = Partition(source(pins={"*": "s@1"}), s=INTEGER)
    _, row = partition.decide(record(body(id="a", n="x"), 0), record(body(id="a", n="y"), 1))
    partition.snapshot = snapshot(source())
    (clean,) = partition.decide(record(body(id="a", n="y"), 2))
    assert (clean.outcome, clean.event_id == row.event_id) == (Outcome.CLEAN, False)
    redrive = again(1, 0, named=(row.event_id,), distinct=is_distinct)
    (found,) = partition.decide(record(body(id="a", n="y"), 3, redrive=redrive))
    assert (found.outcome, found.event_id, found.of) == (Outcome.DUPLICATE, clean.event_id, PLACE.position(2, 0))
    assert found.settles == PLACE.position(1, 0)


def test_a_content_that_was_redriven_as_distinct_does_not_take_the_plain_id_as_well() -> None:
    partition = Partition(source(pins={"*": "s@1"}), s=INTEGER)
    _, row = partition.decide(record(body(id="a", n="x"), 0), record(body(id="a", n="y"), 1))
    partition.snapshot = snapshot(source())
    redrive = again(1, 0, named=(row.event_id,), distinct=True)
    clean, repeat, other = partition.decide(
        record(body(id="a", n="y"), 2, redrive=redrive), record(body(id="a", n="y"), 3), record(body(id="a", n="z"), 4)
    )
    assert clean.outcome is Outcome.CLEAN
    assert (repeat.outcome, repeat.event_id, repeat.of) == (Outcome.DUPLICATE, row.event_id, PLACE.position(2, 0))
    assert (other.outcome, other.resolves) == (Outcome.CLEAN, PLACE.position(0, 0))


@pytest.mark.parametrize("bad", [b"{", b"[7]", b"7"])
def test_what_cannot_be_read_under_a_clean_id_is_no_conflict(bad: bytes) -> None:
    partition = Partition(source("event"))
    clean, failed = partition.decide(record(b'{"n":1}', 0, event_id="a"), record(bad, 1, event_id="a"))
    assert clean.outcome is Outcome.CLEAN
    assert failed.fault is not None
    assert failed.fault.reason in (Reason.NOT_PARSEABLE, Reason.NOT_AN_OBJECT)
    (repeat,) = partition.decide(record(bad, 2, event_id="a"))
    assert (repeat.outcome, repeat.of) == (Outcome.DUPLICATE, PLACE.position(1, 0))
