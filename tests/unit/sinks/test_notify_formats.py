"""Messages as people and programs read them: what stands in them, in which form, within which bounds."""

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest

from schemas.wire.entity_event import Delta, Description, EntityEvent, EventType
from schemas.wire.table import Advanced
from sinks.notify.feeds.tables import event_of
from sinks.notify.formats import render, telling
from sinks.notify.formats.bounds import bounded, units
from sinks.notify.formats.slack import escape as slack_escape
from tests.unit.sinks.outgoing_events import ALERT, AT_MS, TABLE, event, webhook

CHATS = ("Slack", "MSTeams", "GoogleChat")


def body(kind: str, *events: EntityEvent, batch: int | None = None, secrets: tuple[bytes, ...] = ()) -> Any:
    made = webhook(kind, batch or len(events), secrets)
    return json.loads(render(made, events, message_id="m", now_s=1, endpoint="https://x.example/").body)


def test_the_generic_payload_is_the_event_in_openmetadatas_words() -> None:
    told = body("Generic", event(), secrets=(b"s",))
    assert list(told) == [
        "eventId", "eventType", "timestamp", "tenantId", "entityType", "entityId", "entityFullyQualifiedName",
        "userName", "entity", "changeDescription", "webhookName", "signature",
    ]  # fmt: skip
    assert told["webhookName"] == "ops"
    assert told["changeDescription"] == {
        "fieldsAdded": [],
        "fieldsUpdated": [{"name": "state", "oldValue": "running", "newValue": "stopped"}],
        "fieldsDeleted": [],
    }
    assert body("Custom", event(), secrets=(b"s",)) == told


def test_an_href_that_is_a_path_is_told_below_the_apis_address() -> None:
    api = "https://hookberg.example.com"
    for href, sent in (
        ("/api/v1/x/1", f"{api}/api/v1/x/1"),
        ("https://other.example/t", "https://other.example/t"),
        (7, 7),
    ):
        given = replace(event(), entity={"id": "id-1", "href": href})
        made = render(
            webhook("Generic", 1, ()), [given], message_id="m", now_s=1, endpoint="https://x.example/", base_url=api
        )
        assert json.loads(made.body)["entity"] == {"id": "id-1", "href": sent}


def test_a_batch_size_above_one_is_always_an_array() -> None:
    assert isinstance(body("Generic", event(), batch=1), dict)
    assert isinstance(body("Generic", event(), batch=2), list)
    assert len(body("Generic", *[event()] * 3, batch=10)) == 3


def test_a_message_put_together_before_the_batch_size_became_one_is_sent_as_it_was() -> None:
    assert len(body("Generic", *[event()] * 3, batch=1)) == 3


def test_a_message_of_no_event_is_refused() -> None:
    with pytest.raises(ValueError, match="one event"):
        body("Generic", batch=1)


def test_headers_of_the_webhook_are_added_and_ours_kept() -> None:
    made = webhook(headers={"Authorization": "Bearer x", "X-Team": "ops"})
    own = made.definition.webhook_config.model_copy(
        update={"headers": {"X-Team": "ops", "content-TYPE": "text/plain", "Webhook-Id": "forged", "host": "x"}}
    )
    forged = webhook().definition.model_copy(update={"webhook_config": own})
    for view, added in ((made, ["Authorization", "X-Team"]), (webhook_with(forged), ["X-Team"])):
        out = render(view, [event()], message_id="m", now_s=1, endpoint="https://other.example/")
        assert out.url == "https://other.example/"
        names = [name for name, _ in out.headers]
        assert names[:2] == ["Content-Type", "User-Agent"]
        assert names[-len(added) :] == added
        assert len({name.lower() for name in names}) == len(names)
        assert dict(out.headers)["Content-Type"] == "application/json"
        assert dict(out.headers)["User-Agent"].startswith("Hookberg-Webhooks/")


def webhook_with(definition: Any) -> Any:
    return replace(webhook(), definition=definition)


def words(kind: str, *events: EntityEvent) -> str:
    """Return all texts of a chat message, one a line."""
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            found.extend(value for name, value in part.items() if name in SHOWN and isinstance(value, str) and value)
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(body(kind, *events))
    return "\n".join(found)


SHOWN = {"text", "title", "value", "topLabel", "subtitle"}


@pytest.mark.parametrize("kind", CHATS)
def test_a_person_reads_what_changed_by_whom_and_when(kind: str) -> None:
    told = words(kind, event())
    for part in (
        "stream acme.orders was changed",
        "state",
        "running",
        "→",
        "stopped",
        "key-ops",
        "2025-11-22 11:13:20 UTC",
    ):
        assert part in told
    assert "https://hookberg.example.com/api/v1/streams/s1?a=1&" in json.dumps(body(kind, event()))


@pytest.mark.parametrize("kind", CHATS)
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (ALERT, "quarantine alert opened for source stripe-main"),
        (
            ALERT,
            "40% of its events go to quarantine, 120 in a row. Look why (GET /quarantine?source=stripe-main), mend",
        ),
        (TABLE, "table acme.orders advanced to 12,400 rows"),
        (event(kind=EventType.CREATED, change=Description()), "stream acme.orders was created"),
        (event(kind=EventType.DELETED, change=Description()), "stream acme.orders was deleted"),
        (
            event(kind=EventType.SOFT_DELETED, change=Description()),
            "stream acme.orders was deleted and can be restored",
        ),
    ],
)
def test_a_person_reads_what_happened_in_a_sentence(kind: str, given: EntityEvent, sentence: str) -> None:
    assert sentence in words(kind, given)
    assert sentence in words(kind, given, given)


def test_what_was_created_is_told_with_its_description() -> None:
    made = event(kind=EventType.CREATED, entity={"description": "Orders of the shop"}, change=Description())
    assert telling.tell(made).sentence == "stream acme.orders was created: Orders of the shop"
    assert telling.tell(event(entity={"description": "Orders of the shop"})).text == ""


def test_slacks_notification_says_it_in_one_line() -> None:
    told = body("Slack", ALERT)["text"]
    assert told.startswith("quarantine alert opened for source stripe-main: 40% of its events go to quarantine")
    assert told.endswith("then redrive")


@pytest.mark.parametrize(
    ("entity", "kind", "sentence"),
    [
        ({"kind": "depth", "status": "closed", "message": "source shop: 9 events wait"}, EventType.UPDATED,
         "depth alert closed for source shop"),
        ({"kind": "depth", "status": "open", "message": "source shop: 9 events wait"}, EventType.UPDATED,
         "depth alert changed for source shop: 9 events wait"),
        ({"kind": "restarts", "message": "worker group g1 started 5 times", "entity": {"type": "group", "id": "x"}},
         EventType.CREATED, "restarts alert opened for group x: worker group g1 started 5 times"),
        ({"kind": "age", "message": "late: by far", "entity": {"type": "table", "name": "orders"}}, EventType.CREATED,
         "age alert opened for table orders: late: by far"),
        ({"kind": "restarts"}, EventType.DELETED, "restarts alert removed"),
        ({}, EventType.CREATED, "silence alert opened"),
        ({"kind": ["x"], "message": 7, "entity": "e"}, EventType.CREATED, "silence alert opened"),
    ],
)  # fmt: skip
def test_an_alert_is_told_as_far_as_it_is_known(entity: dict[str, Any], kind: EventType, sentence: str) -> None:
    assert telling.tell(event("alert", "silence", kind, entity=entity)).sentence == sentence


def test_a_snapshot_is_told_with_its_rows_and_times() -> None:
    told = telling.tell(TABLE)
    assert [(change.name, change.text()) for change in told.changes] == [
        ("rows", "12,000 → 12,400"),
        ("newest event", "2025-11-22 11:12:20 UTC → 2025-11-22 11:13:20 UTC"),
        ("snapshot", "1 → 2"),
    ]


def test_our_own_tables_are_told_by_what_their_records_say() -> None:
    given = Advanced("acme", "st-1", "acme", "orders", str(uuid.UUID(int=7)), 3, AT_MS, 5512, 12_400, 400, None)
    told = telling.tell(event_of("acme", given))
    assert told.headline == "table acme.orders advanced to 12,400 rows"
    assert [(change.name, change.text()) for change in told.changes] == [
        ("rows", "12,400"), ("added rows", "400"), ("snapshot", "5512"),
    ]  # fmt: skip
    assert told.who == "system"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("a", None, "(nothing)"), ("a", "", '""'), ("a", True, "true"), ("a", 1234567, "1,234,567"), ("a", 1.5, "1.5"),
        ("updatedAt", AT_MS, "2025-11-22 11:13:20 UTC"), ("bytes", AT_MS, "1,763,810,000,123"),
        ("a", {"b": [1, None]}, '{"b":[1,null]}'), ("a", "x\r\ny\x00\u202ez", "x y z"),
        ("a", float("nan"), "(nothing)"),
        ("a", ["x" * 500], '["' + "x" * 157 + "…"), ("a", "é" * 500, "é" * 159 + "…"),
        ("a", 10**400, "a very large number"),
    ],
)  # fmt: skip
def test_a_value_is_told_briefly(name: str, value: object, text: str) -> None:
    assert telling.value(name, value) == text


@pytest.mark.parametrize("kind", CHATS)
def test_a_batch_tells_the_first_and_counts_the_rest(kind: str) -> None:
    events = [event(name=f"acme.s{index}") for index in range(37)]
    told = words(kind, *events)
    assert "37 changes" in told
    assert "acme.s0 was changed" in told
    assert "acme.s9 was changed" in told
    assert "acme.s10 " not in told
    assert "and 27 more changes" in told


@pytest.mark.parametrize("character", ["\U0001f600", "&", "\\", '"', "é"])
@pytest.mark.parametrize(("kind", "most"), [("MSTeams", 28 * 1024 - 1), ("GoogleChat", 32_000), ("Slack", 200_000)])
def test_a_message_of_the_longest_texts_fits_and_says_how_many_are_not_in_it(
    kind: str, most: int, character: str
) -> None:
    long = character * 2000
    worst = event(
        "alert",
        long,
        EventType.UPDATED,
        entity={"kind": long, "message": long},
        change=Description(updated=tuple(Delta(f"{index}{long}", long, long) for index in range(30))),
        user=long,
    )
    for count in (1, 40):
        made = webhook(kind, count)
        out = render(made, [worst] * count, message_id="m", now_s=1, endpoint="https://x.example/")
        assert len(out.body) <= most
        told = words(kind, *[worst] * count)
        shown = told.count(" alert changed")
        assert shown >= 1
        assert count == 1 or f"and {count - shown} more changes" in told


@pytest.mark.parametrize("kind", CHATS)
def test_many_fields_are_told_in_part_and_counted(kind: str) -> None:
    many = Description(updated=tuple(Delta(f"f{index}", index, index + 1) for index in range(40)))
    told = words(kind, event(change=many))
    assert "f11" in told
    assert "f12" not in told
    assert "and 28 more fields" in told


@pytest.mark.parametrize("kind", CHATS)
def test_a_path_is_linked_below_the_apis_address_and_not_without_one(kind: str) -> None:
    given = {"message_id": "m", "now_s": 1, "endpoint": "https://x.example/"}
    link = b"https://hookberg.example.com/api/v1/alerts/al-1"
    for events in ([ALERT], [ALERT] * 2):
        made = webhook(kind, 10)
        linked = render(made, events, base_url="https://hookberg.example.com", **given).body  # type: ignore[arg-type]
        assert linked.count(link) == len(events)
        assert b"Open" not in render(made, events, **given).body  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "href",
    ["javascript:alert(1)", "https://x.example/|evil>", "https://x.example/ y", "https://u:p@x.example/", 7, None,
     "https://x.example/<!channel>", "http://x.example/" + "a" * 3000, "data:text/html,x", "//x.example/"],
)  # fmt: skip
@pytest.mark.parametrize("kind", CHATS)
def test_a_link_that_is_no_plain_address_is_left_out(kind: str, href: object) -> None:
    told = json.dumps(body(kind, event(entity={"href": href})))
    assert "Open" not in told


def test_a_cut_never_halves_an_escape() -> None:
    for most in range(2, 40):
        got = bounded("a&<>b" * 20, most, slack_escape)
        assert units(got) <= most
        rest = got.removesuffix("…").replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
        assert "&" not in rest
    assert bounded("short", 5, slack_escape) == "short"
    assert units(bounded("\U0001f600" * 9, 9, str)) <= 9
