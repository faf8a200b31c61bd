"""Which event an item is (spec section 7): type, account, id and correlation, each by the first place that names it."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.ids import IdKind
from schemas.vendors import adapter
from schemas.wire.raw import Overrides
from streams.identify import Event, identify
from streams.parse import parse
from streams.sources import Sources
from tests.unit.streams.made import TOPIC_ID, record, snapshot, source

STRONG, WEAK, NONE, HASH, VENDOR = IdKind.EXPLICIT, IdKind.WEAK, IdKind.DELIVERY, IdKind.HASH, IdKind.VENDOR
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
CE = {"ce-specversion": "1.0", "ce-source": "/s", "ce-type": "made", "ce-id": "e1", "ce-time": "2025-06-15T15:06:40Z"}


def events(body: bytes, headers: dict[str, str] | None = None, platform: str = "generic", **more: Any) -> list[Event]:
    """Identify one delivery of a generic source as the stage does."""
    view = replace(source(**more.pop("definition", {})), platform=platform)
    told = tuple({"content-type": "application/json", **(headers or {})}.items())
    sources = Sources().at(snapshot(view).sources)
    return list(identify(parse([record(body, headers=told, **more)], sources, 0), adapter, TOPIC_ID))


def one(body: bytes, headers: dict[str, str] | None = None, **more: Any) -> Event:
    [found] = events(body, headers, **more)
    return found


@pytest.mark.parametrize(
    ("body", "said", "expected"),
    [
        (b'{"event":"e","type":"t","action":"a"}', "said", "said"),
        (b'{"event":"e","type":"t","action":"a"}', None, "e"),
        (b'{"event":{"n":1},"type":"t","action":"a"}', None, "t"),
        (b'{"event":"","type":7,"action":"a"}', None, "a"),
        (b'{"id":"1"}', None, "received"),
        (b"7", None, "received"),
        (b"7", "said", "said"),
    ],
)
def test_the_type_is_the_querys_else_event_type_action_else_received(
    body: bytes, said: str | None, expected: str
) -> None:
    assert one(body, overrides=Overrides(event_type=said)).event_type == expected


@pytest.mark.parametrize(
    ("body", "said", "expected"),
    [
        (b'{"id":"1"}', Overrides(source_identifier="s", dedupe_key="k"), "s"),
        (b'{"id":"1"}', Overrides(dedupe_key="k"), "k"),
        (b'{"id":"1"}', Overrides(source="till"), "1"),
        (b'{"id":18446744073709551617}', Overrides(), "18446744073709551617"),
        (b'{"id":true}', Overrides(source="till"), "till:acme"),
        (b'{"id":""}', Overrides(), "generic:acme"),
        (b"[7]", Overrides(), "generic:acme"),
    ],
)
def test_the_source_identifier_is_the_querys_else_dedupe_key_else_id_else_source_and_workspace(
    body: bytes, said: Overrides, expected: str
) -> None:
    assert one(body, overrides=said).source_identifier == expected


@pytest.mark.parametrize(("label", "kind"), [(None, "webhook.generic"), ("till", "webhook.till")])
def test_the_source_kind_is_of_the_querys_label(label: str | None, kind: str) -> None:
    assert one(b"{}", overrides=Overrides(source=label)).source_kind == kind


@pytest.mark.parametrize(
    ("headers", "more", "kind", "text"),
    [
        ({"x-webhook-id": "w", "x-request-id": "r"}, {"overrides": Overrides(dedupe_key="k")}, STRONG, "k"),
        ({"x-webhook-id": "w", "x-request-id": "r"}, {}, VENDOR, "w"),
        ({"x-request-id": "r"}, {"definition": {"dedupe": {"path": "/order/no"}}}, STRONG, "7"),
        ({"x-request-id": "r"}, {"definition": {"dedupe": {"path": "/order/none"}}}, WEAK, None),
        ({"x-request-id": "r"}, {}, WEAK, None),
        ({"x-request-id": ""}, {}, NONE, "delivery-1:0"),
        ({"x-correlation-id": "c"}, {}, NONE, "delivery-1:0"),
        ({"traceparent": TRACEPARENT}, {"traceparent": TRACEPARENT}, NONE, "delivery-1:0"),
        ({}, {"definition": {"dedupe": {"fallback": "bodyHash"}}}, HASH, None),
        ({}, {}, NONE, "delivery-1:0"),
    ],
)
def test_what_identifies_alone_what_together_with_the_content_and_what_not(
    headers: dict[str, str], more: dict[str, Any], kind: IdKind, text: str | None
) -> None:
    found = one(b'{"id":"thing","order":{"no":7}}', headers, **more)
    assert found.kind is kind
    if text is None:
        assert found.id_text.startswith("r:" if kind is WEAK else "")
        other = one(b'{"id":"thing","order":{"no":7},"n":1}', headers, **more)
        assert other.event_id != found.event_id
    else:
        assert found.id_text == text
    assert found.vendor_event_id == (text if kind in (STRONG, VENDOR) else None)


def test_a_bodys_own_id_never_identifies_a_generic_event() -> None:
    """It may name a thing that changes: two events of it would be one."""
    first, second = (one(b'{"id":"order-1"}', delivery_id=name) for name in ("d1", "d2"))
    assert first.event_id != second.event_id


@pytest.mark.parametrize(
    ("headers", "more", "expected"),
    [
        ({"x-correlation-id": "c", "x-request-id": "r", "traceparent": TRACEPARENT}, {}, "c"),
        ({"x-request-id": "r", "traceparent": TRACEPARENT}, {}, "r"),
        ({"request-id": "q", "traceparent": TRACEPARENT}, {}, "q"),
        ({"traceparent": TRACEPARENT}, {}, TRACE),
        ({"traceparent": "00-nonsense"}, {"traceparent": TRACEPARENT}, None),
        ({}, {}, None),
    ],
)
def test_what_ties_events_together_is_carried_on(
    headers: dict[str, str], more: dict[str, Any], expected: str | None
) -> None:
    assert one(b"{}", headers, **more).correlation_id == expected


def test_a_generic_source_takes_cloudevents_at_their_word() -> None:
    binary = one(b'{"type":"own","id":"own"}', CE | {"ce-subject": "x"})
    said = (binary.kind, binary.id_text, binary.event_type, binary.source_identifier, binary.event_time_source)
    assert said == (VENDOR, "/s e1", "made", "/s", "payload")
    structured = one(
        b'{"specversion":"1.0","id":"e1","source":"/s","type":"made","data":{}}',
        {"content-type": "application/cloudevents+json; charset=utf-8"},
    )
    assert structured.event_id == binary.event_id
    first, second = events(
        b'[{"id":"e1","source":"/s","type":"made"},{"id":"e2","source":"/s","type":"other"}]',
        {"content-type": "application/cloudevents-batch+json"} | CE,  # its headers say nothing of the batch
    )
    assert first.event_id == binary.event_id
    assert (second.id_text, second.event_type) == ("/s e2", "other")


def test_json_that_looks_like_a_cloudevent_is_none_unless_the_sender_says_so() -> None:
    found = one(b'{"specversion":"1.0","id":"e1","source":"/s","type":"made"}')
    assert (found.kind, found.event_type, found.source_identifier) == (NONE, "made", "e1")
    assert one(b'{"id":"1"}', {name: CE[name] for name in CE if name != "ce-type"}).kind is NONE


def test_a_line_that_cannot_be_read_has_an_identity_of_its_own() -> None:
    lines = {"content-type": "application/x-ndjson"}
    good, bad, worse = events(b'{"event":"e"}\n{\n}\n', lines)
    assert [each.fault is None for each in (good, bad, worse)] == [True, False, False]
    assert [each.id_text for each in (good, bad, worse)] == [f"delivery-1:{n}" for n in range(3)]
    assert len({each.fingerprint for each in (good, bad, worse)}) == 3
    assert one(b"{", lines, overrides=Overrides(dedupe_key="k")).id_text == "k"
