"""What entity events tell of the registry's own objects: the table in sinks/notify/feeds/README.md.

Each test changes an object and reads what the feed of the log of changes makes of it.
"""

from typing import Any

import orjson
import pytest

from schemas.backing.registry import SYSTEM, Actor, Registry
from schemas.definitions.alert import AlertKind
from schemas.definitions.base import read
from schemas.definitions.contact import ContactDefinition
from schemas.definitions.key import KeyDefinition, Permission
from schemas.definitions.notification import Cursor
from schemas.definitions.role import RoleDefinition
from schemas.definitions.schema import SubjectDefinition
from schemas.definitions.webhook import WebhookDefinition
from schemas.wire.entity_event import Delta, Description, EntityEvent, event_id
from sinks.notify.feeds.audience import Audience
from sinks.notify.feeds.changes import ChangesFeed
from tests.contract.registry.make import source, source_definition, stream, stream_definition, topic
from tests.contract.registry.outbound_make import held
from tests.fakes.clock import ManualClock

ME = Actor("me")
SECRET = "never-to-be-told"


def hook(name: str = "listener", **more: Any) -> WebhookDefinition:
    value = {"name": name, "eventFilters": [{"eventType": "entityCreated"}], "webhookConfig": {
        "endpoint": f"https://hooks.example:8443/{SECRET}", "secretKey": SECRET,
        "headers": {"Authorization": f"Bearer {SECRET}"}}, **more}  # fmt: skip
    return read(WebhookDefinition, value)


@pytest.fixture
def feed(registry: Registry) -> ChangesFeed:
    """Return a feed that has read everything so far, a webhook's making among it."""
    registry.webhooks.create("acme", hook(), actor=SYSTEM)
    made = ChangesFeed(registry, Audience(registry))
    told(made)
    return made


def told(feed: ChangesFeed) -> list[EntityEvent]:
    events: list[EntityEvent] = []
    while (page := feed.read()).fed:
        events += [each.event for each in page.fed if each.event is not None]
    for event in events:
        assert SECRET not in orjson.dumps(event.to_wire()).decode()
    return events


def short(event: EntityEvent) -> tuple[str, str, str, list[str]]:
    """Return type of event and entity, full name, and the fields that changed: + added, - deleted."""
    change = event.change
    fields = [f"+{one.name}" for one in change.added] + [one.name for one in change.updated]
    return (
        event.event_type.value,
        event.entity_type,
        event.entity_name,
        fields + [f"-{one.name}" for one in change.deleted],
    )


def test_a_source_its_urls_and_secrets(registry: Registry, feed: ChangesFeed) -> None:
    made = source(registry, "slack", auth={"type": "slack", "secrets": [SECRET]})
    registry.topics.put(topic("acme.webhook.slack"), actor=SYSTEM)
    registry.sources.set_open("acme", made.id, actor=SYSTEM)
    url_id, _token = registry.sources.add_url("acme", made.id, actor=ME)
    registry.sources.revoke_url("acme", made.id, url_id, actor=ME)
    registry.sources.update("acme", made.id, source_definition("slack", name="slack", enabled=False), actor=ME)
    registry.sources.delete("acme", made.id, actor=ME)
    events = told(feed)
    assert [short(event) for event in events] == [
        ("entityCreated", "source", "acme.slack", []),
        ("entityUpdated", "source", "acme.slack", ["+urls"]),
        ("entityUpdated", "source", "acme.slack", ["-urls"]),
        ("entityUpdated", "source", "acme.slack", ["enabled"]),
        ("entityDeleted", "source", "acme.slack", []),
    ]
    assert events[1].change.added == (Delta("urls", None, "***"),)
    gone = events[-1].entity
    assert (gone["deleted"], gone["platform"], gone["enabled"], gone["id"]) == (True, "slack", False, made.id)


def test_a_source_is_told_as_it_is_now(registry: Registry, feed: ChangesFeed, clock: ManualClock) -> None:
    made = source(registry, "slack")
    registry.sources.update("acme", made.id, source_definition("slack", name="slack", enabled=False), actor=ME)
    event = told(feed)[-1]
    assert event.at_ms == clock.time_ns() // 1_000_000
    assert event.user == "me"
    assert event.change == Description(updated=(Delta("enabled", True, False),), previous_version=1.0)
    reference = {name: event.entity[name] for name in list(event.entity) if name not in source_definition().to_wire()}
    assert reference == {
        "id": made.id,
        "type": "source",
        "fullyQualifiedName": "acme.slack",
        "href": f"/api/v1/sources/{made.id}",
        "version": 2,
        "updatedAt": event.at_ms,
        "updatedBy": "me",
        "deleted": False,
    }
    assert event.entity["enabled"] is False


def test_a_stream_is_started_and_stopped_as_its_state(registry: Registry, feed: ChangesFeed) -> None:
    made = stream(registry, "s")
    registry.streams.set_desired("acme", made.id, "running", actor=ME)
    registry.streams.set_desired("acme", made.id, "running", restart=True, actor=ME)
    registry.streams.set_desired("acme", made.id, "stopped", actor=ME)
    registry.streams.update("acme", made.id, stream_definition("s", freshnessSeconds=9), actor=ME)
    events = told(feed)
    assert [short(event) for event in events] == [
        ("entityCreated", "stream", "acme.s", []),
        ("entityUpdated", "stream", "acme.s", ["state"]),
        ("entityUpdated", "stream", "acme.s", ["state"]),
        ("entityUpdated", "stream", "acme.s", ["freshnessSeconds"]),
    ]
    assert [event.change.updated for event in events[1:3]] == [
        (Delta("state", "stopped", "running"),),
        (Delta("state", "running", "stopped"),),
    ]
    assert events[-1].entity["state"] == "stopped"
    assert "desired" not in events[-1].entity


def test_a_schema_and_its_versions(registry: Registry, feed: ChangesFeed) -> None:
    definition = read(SubjectDefinition, {"subject": "order.placed"})
    registry.subjects.create("acme", definition, actor=ME)
    registry.subjects.add_version("acme", "order.placed", b"{}", actor=ME)
    registry.subjects.delete("acme", "order.placed", actor=ME)
    events = told(feed)
    assert [short(event) for event in events] == [
        ("entityCreated", "schema", "acme.order.placed", []),
        ("entityUpdated", "schema", "acme.order.placed", ["+versions.1"]),
        ("entityDeleted", "schema", "acme.order.placed", []),
    ]
    assert events[0].entity["href"] == "/api/v1/schemas/order.placed"


def test_keys_of_the_tenant_and_none_of_others(registry: Registry, feed: ChangesFeed) -> None:
    for tenant in ("acme", None):
        given = KeyDefinition(tenant_id=tenant, permissions=(Permission.EVENTS_READ,), name="reader")
        made, text = registry.keys.create(given, actor=ME)
        registry.keys.delete(made.id, actor=ME)
        assert text
    assert [short(event) for event in told(feed)] == [
        ("entityCreated", "key", "acme.reader", []),
        ("entityDeleted", "key", "acme.reader", []),
    ]


def test_who_changed_it_is_told_by_the_keys_name_while_there_is_one(registry: Registry, feed: ChangesFeed) -> None:
    given = KeyDefinition(tenant_id=None, permissions=(Permission.SOURCES_WRITE,), name="platform team")
    made, _ = registry.keys.create(given, actor=SYSTEM)
    mine = Actor(made.id)
    role = registry.roles.create(
        "acme", read(RoleDefinition, {"name": "r", "role": "webhook.github.*", "target": "t"}), actor=mine
    )
    (event,) = told(feed)
    assert (event.user, event.entity["updatedBy"]) == ("platform team", made.id)
    registry.roles.delete("acme", role.id, actor=mine)
    registry.keys.delete(made.id, actor=SYSTEM)
    (event,) = told(feed)
    assert event.user == made.id


def test_a_role_and_a_contact(registry: Registry, feed: ChangesFeed) -> None:
    role = read(RoleDefinition, {"name": "r", "role": "webhook.github.*", "target": "t"})
    made = registry.roles.create("acme", role, actor=ME)
    registry.roles.set_open("acme", made.id, actor=SYSTEM)
    contact = {"name": "jane", "endpoint": f"https://jane.example/{SECRET}"}
    jane = registry.contacts.create("acme", read(ContactDefinition, contact), actor=ME)
    registry.contacts.update("acme", jane.id, read(ContactDefinition, {**contact, "admin": True}), actor=ME)
    events = told(feed)
    assert [short(event) for event in events] == [
        ("entityCreated", "role", "acme.r", []),
        ("entityCreated", "contact", "acme.jane", []),
        ("entityUpdated", "contact", "acme.jane", ["admin"]),
    ]
    assert events[1].entity["endpoint"] == "https://jane.example/***"
    assert events[1].entity["contactType"] == "user"


def test_a_webhook_soft_deleted_restored_and_gone(registry: Registry, feed: ChangesFeed) -> None:
    made = registry.webhooks.create("acme", hook("other"), actor=ME)
    registry.webhooks.remove("acme", made.id, actor=ME)
    registry.webhooks.restore("acme", made.id, actor=ME)
    registry.webhooks.delete("acme", made.id, actor=ME)
    events = told(feed)
    kinds = [(event.event_type.value, "deleted" in event.change.names()) for event in events]
    assert kinds == [
        ("entityCreated", False),
        ("entitySoftDeleted", True),
        ("entityUpdated", True),
        ("entityDeleted", False),
    ]
    config = events[0].entity["webhookConfig"]
    assert config["endpoint"] == "https://hooks.example:8443/***"
    assert config["headers"] == {"Authorization": "***"}
    assert "secretKey" not in config


def test_a_webhooks_secrets_stay_hidden_in_what_changed(registry: Registry, feed: ChangesFeed) -> None:
    made = registry.webhooks.create("acme", hook("other"), actor=ME)
    changed = hook("other")
    config = changed.webhook_config.model_copy(
        update={"endpoint": f"https://b.example/{SECRET}", "headers": {"X-Api": SECRET}}
    )
    changed = changed.model_copy(update={"webhook_config": config})
    registry.webhooks.update("acme", made.id, changed, overlap_s=0, actor=ME)
    change = told(feed)[-1].change
    assert {each.name: (each.old, each.new) for each in (*change.added, *change.updated, *change.deleted)} == {
        "webhookConfig.endpoint": ("https://hooks.example:8443/***", "https://b.example/***"),
        "webhookConfig.headers.Authorization": ("***", None),
        "webhookConfig.headers.X-Api": (None, "***"),
    }


def test_an_alert_opens_as_created_and_closes_as_status(registry: Registry, feed: ChangesFeed) -> None:
    about = ("source", "s1")
    registry.alerts.open("acme", AlertKind.DEPTH, about, "much waits", {"level": "warn", "records": 7})
    registry.alerts.open("acme", AlertKind.DEPTH, about, "too much waits", {"level": "alarm"})
    registry.alerts.close(AlertKind.DEPTH, about)
    events = told(feed)
    assert [short(event) for event in events] == [
        ("entityCreated", "alert", "acme.depth", []),
        ("entityUpdated", "alert", "acme.depth", ["details.level"]),
        ("entityUpdated", "alert", "acme.depth", ["status"]),
    ]
    entity = events[-1].entity
    assert (entity["kind"], entity["status"], entity["message"]) == ("depth", "closed", "too much waits")
    assert entity["entity"] == {"type": "source", "id": "s1"}


def test_rows_of_other_tenants_and_inner_ones_are_positions_alone(registry: Registry, feed: ChangesFeed) -> None:
    registry.tenants.create("globex", actor=SYSTEM)
    source(registry, "slack", tenant="globex")
    registry.topics.put(topic("acme.webhook.slack"), actor=SYSTEM)
    registry.jobs.create("acme", "sinks.sweep_table", {}, actor=SYSTEM)
    page = feed.read()
    assert [each.event for each in page.fed] == [None] * 4
    assert page.fed[-1].cursor == Cursor("changes", registry.revision())


def test_an_events_id_is_that_of_its_revision_whenever_it_is_made(registry: Registry, feed: ChangesFeed) -> None:
    source(registry, "slack")
    again = ChangesFeed(registry, Audience(registry))
    registry.outbound.take_in(held(registry), [], [Cursor("changes", registry.revision() - 1)])
    first, second = told(feed), told(again)
    assert first == second
    assert first[0].event_id == event_id("changes", registry.revision())


def test_the_first_start_begins_now_or_before_the_oldest_webhook(registry: Registry, clock: ManualClock) -> None:
    source(registry, "slack")
    clock.advance(1)
    assert ChangesFeed(registry, Audience(registry)).read().fed == ()
    later = ChangesFeed(registry, Audience(registry))
    clock.advance(1)
    registry.webhooks.create("acme", hook(), actor=SYSTEM)
    source(registry, "github", auth={"type": "github"})
    assert [event.entity_type for event in told(later)] == ["webhook", "source"]


def test_a_large_entity_is_told_by_its_main_members(registry: Registry, feed: ChangesFeed) -> None:
    contact = {"name": "jane", "follows": ["x" * 250 + str(number).zfill(4) for number in range(1000)]}
    wide = {**contact, "displayName": "Jane", "teams": ["y" * 250 + str(number) for number in range(100)]}
    registry.contacts.create("acme", read(ContactDefinition, wide), actor=ME)
    entity = told(feed)[0].entity
    assert (entity["truncated"], entity["displayName"], entity["name"]) == (True, "Jane", "jane")
    assert "follows" not in entity
