"""What each vendor's adapter says of an item: facts, keys, handshakes; total on odd input."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.vendors import VENDORS, adapter
from schemas.vendors.base import Answer, Facts, Hello, no_key

HERE = Path(__file__).parents[2] / "contract/vendors"
SAMPLES = "".join(each.read_text("utf-8") for each in HERE.glob("*/deliveries.json"))
NAMES = sorted(set(re.findall(r'"([A-Za-z_@.]+)":', SAMPLES)))
"""Every member's name in any sample of any vendor."""
MEMBERS = st.sampled_from(NAMES)
HEADERS = st.dictionaries(st.sampled_from(sorted(set(re.findall(r'"([a-z-]+)":', SAMPLES)))), st.text(max_size=9))
LEAF = st.sampled_from([None, True, 0, -1, 1_750_000_000, 2**63, 1e300, "", "x", "1750000000", "2025-06-15T15:06:40Z"])
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=6,
)
OBJECTS = st.dictionaries(MEMBERS, JSON, max_size=8)


def test_each_vendor_is_registered_under_its_name() -> None:
    assert all(name == vendor.name for name, vendor in VENDORS.items())
    assert adapter("github").name == "github"
    assert adapter("my-shop").name == "generic"


each_vendor = st.sampled_from(sorted(VENDORS))


@given(each_vendor, OBJECTS, HEADERS, OBJECTS)
def test_facts_never_raise(name: str, item: dict[str, Any], headers: dict[str, str], outer: dict[str, Any]) -> None:
    vendor = VENDORS[name]
    facts = vendor.facts(item, headers)
    if vendor.within is not None:
        facts = vendor.within(facts, outer)
    assert isinstance(facts, Facts)
    texts = (facts.event_type, facts.vendor_event_id, facts.source_identifier, facts.correlation_id)
    assert all(text is None or isinstance(text, str) for text in texts)
    assert facts.event_time_ms is None or isinstance(facts.event_time_ms, int)


@given(
    each_vendor,
    st.binary(max_size=200) | OBJECTS.map(lambda value: json.dumps(value).encode()),
)
def test_keys_never_raise(name: str, body: bytes) -> None:
    key = VENDORS[name].event_key({}, body)
    assert key is None or isinstance(key, str)


QUERIES = st.dictionaries(
    st.sampled_from(["hub.mode", "hub.challenge", "hub.verify_token", "validationToken"]),
    st.text(max_size=20) | st.just("subscribe"),
)
ASKING = st.dictionaries(st.sampled_from(["webhook-request-origin", "webhook-request-rate"]), st.text(max_size=300))


@given(each_vendor, QUERIES, ASKING, OBJECTS, st.lists(st.text(max_size=3), max_size=2))
def test_handshakes_never_raise_and_never_put_a_line_break_into_a_header(
    name: str, query: dict[str, str], headers: dict[str, str], body: dict[str, Any], tokens: list[str]
) -> None:
    for handshake in VENDORS[name].handshakes:
        said = handshake.reply(Hello(handshake.methods[0], query, headers, json.dumps(body).encode(), tuple(tokens)))
        assert said is None or not any(char < " " for _, value in said.headers for char in value)


def test_event_partitioning_needs_a_key() -> None:
    for vendor in VENDORS.values():
        assert vendor.partitioning == "source" or vendor.event_key is not no_key


@pytest.mark.parametrize(
    ("event", "item", "expected"),
    [
        ("push", {"repository": {"full_name": "o/r"}}, Facts("push", "g-1", source_identifier="o/r")),
        ("issues", {"action": "opened"}, Facts("issues.opened", "g-1")),
        ("ping", {"zen": "x", "organization": {"login": "org"}}, Facts("ping", "g-1", source_identifier="org")),
        ("star", {"action": 7, "installation": {"id": 42}}, Facts("star.7", "g-1", source_identifier="42")),
    ],
)
def test_github_facts(event: str, item: dict[str, Any], expected: Facts) -> None:
    assert VENDORS["github"].facts(item, {"x-github-event": event, "x-github-delivery": "g-1"}) == expected


@pytest.mark.parametrize(
    ("created", "ms"),
    [(1_750_000_000, 1_750_000_000_000), ("2025-06-15T15:06:40.250Z", 1_750_000_000_250), ("soon", None), (True, None),
     (-1, None), (1e300, None), ("2025-06-15T15:06:40", None)],
)  # fmt: skip
def test_stripe_facts(created: object, ms: int | None) -> None:
    item = {
        "id": "evt_1",
        "type": "charge.failed",
        "created": created,
        "account": "acct_1",
        "request": {"idempotency_key": "k"},
    }
    assert VENDORS["stripe"].facts(item, {}) == Facts("charge.failed", "evt_1", ms, "acct_1", "k")


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"object":"event","id":"evt_9","data":{"object":{"id":"ch_1"}}}', "evt_9"),
        (b'{"id":7}', None),
        (b'{"id":""}', None),
        (b"[]", None),
        (b'{"id":"evt_9"', None),
        (b"[" * 100_000, None),
        (b'{"a":' + b"[" * 100_000, None),
        (b"\xff", None),
    ],
)
def test_stripe_key_is_the_top_level_id(body: bytes, key: str | None) -> None:
    assert VENDORS["stripe"].event_key({}, body) == key


def test_slack_facts() -> None:
    item = {"type": "event_callback", "event_id": "Ev1", "event_time": 1_750_000_000, "team_id": "T1",
            "event": {"type": "message", "subtype": "channel_join"}}  # fmt: skip
    assert VENDORS["slack"].facts(item, {}) == Facts("message.channel_join", "Ev1", 1_750_000_000_000, "T1")
    assert VENDORS["slack"].facts({"type": "app_rate_limited"}, {}).event_type == "app_rate_limited"


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"type":"url_verification","challenge":"3eZb","token":"t"}', b"3eZb"),
        (b'{"token":"t","challenge":"3eZb","type":"url_verification"}', b"3eZb"),
        (b'{"type":"event_callback","text":"url_verification","challenge":"x"}', None),
        (b'{"type":"url_verification","challenge":7}', None),
        (b'{"type":"url_verification","challenge":"' + b"x" * 5000 + b'"}', None),
        (b'{"type":"url_verification"}', None),
    ],
)
def test_slack_answers_its_challenge_and_nothing_else(body: bytes, answer: bytes | None) -> None:
    [handshake] = VENDORS["slack"].handshakes
    assert handshake.signed
    expected = None if answer is None else Answer(200, answer, "text/plain; charset=utf-8")
    assert handshake.reply(Hello("POST", {}, {}, body)) == expected


@pytest.mark.parametrize(
    ("item", "kind"),
    [({"event": "a", "type": "b"}, "a"), ({"type": "b", "action": "c"}, "b"), ({"action": "c"}, "c"), ({}, "received"),
     ({"event": {"type": "x"}, "action": "c"}, "c"), ({"event": ""}, "received")],
)  # fmt: skip
def test_generic_type_falls_back(item: dict[str, Any], kind: str) -> None:
    assert VENDORS["generic"].facts(item, {}).event_type == kind


def test_generic_ids_identify_only_where_a_header_says_so() -> None:
    facts = VENDORS["generic"].facts({"id": 5}, {"x-request-id": "r-1"})
    assert facts == Facts("received", None, None, "5", "r-1")
    assert VENDORS["generic"].facts({"id": 5}, {"x-webhook-id": "w-1"}).vendor_event_id == "w-1"
    assert VENDORS["generic"].event_key({"x-webhook-id": "w-1"}, b"") == "w-1"
