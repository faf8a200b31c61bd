"""Role assignments and the ranges that worker groups have in the topics of a tenant."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from alembic import command

from schemas.backing.growth import grow
from schemas.backing.registry import SYSTEM, PageRequest, Registry, TopicRecord, Vault
from schemas.backing.registry.record import Actor
from schemas.backing.registry.schema import _config
from schemas.definitions.base import read
from schemas.definitions.role import MAX_RUNS, RoleDefinition
from schemas.definitions.view import RoleView
from schemas.reasons import Reason
from tests.contract.registry.conftest import KEY
from tests.contract.registry.make import refused, source, topic
from tests.fakes.clock import ManualClock


def definition(role: str = "webhook.slack.message", target: str = "agent", **more: object) -> RoleDefinition:
    return read(RoleDefinition, {"role": role, "target": target, **more})


def test_an_assignment_is_in_effect_once_it_is_open(registry: Registry) -> None:
    made = registry.roles.create("acme", definition(), actor=SYSTEM)
    assert (made.name, made.open, made.topic) == ("slack-message-agent", False, "acme.run.agent")
    assert registry.load().roles == {}
    assert registry.roles.set_open("acme", made.id, actor=SYSTEM).open
    revision = registry.revision()
    registry.roles.set_open("acme", made.id, actor=SYSTEM)
    assert registry.revision() == revision
    view = RoleView(made.id, made.name, "webhook.slack.message", "agent", "acme.run.agent")
    assert registry.load().roles == {"acme": (view,)}
    registry.roles.delete("acme", made.id, actor=SYSTEM)
    assert registry.load().roles == {}


def test_what_an_assignment_means_never_changes(registry: Registry) -> None:
    made = registry.roles.create("acme", definition(), actor=SYSTEM)
    changed = registry.roles.update(
        "acme", made.id, definition(description="why", name="mine"), if_match=1, actor=SYSTEM
    )
    assert (changed.version, changed.name, changed.id) == (2, "mine", made.id)
    other, elsewhere = definition("webhook.slack.*"), definition(target="other")
    refused(Reason.IMMUTABLE, lambda: registry.roles.update("acme", "mine", other, actor=SYSTEM))
    refused(Reason.IMMUTABLE, lambda: registry.roles.update("acme", "mine", elsewhere, actor=SYSTEM))
    refused(Reason.PRECONDITION_FAILED, lambda: registry.roles.delete("acme", made.id, if_match=1, actor=SYSTEM))
    registry.tenants.create("other", actor=SYSTEM)
    refused(Reason.NOT_FOUND, lambda: registry.roles.get("other", made.id))


def test_names_are_made_and_the_same_assignment_is_taken_once(registry: Registry) -> None:
    for role, name in (("webhook.slack.*", "slack-agent"), ("webhook.slack.?", "slack-agent-2")):
        assert registry.roles.create("acme", definition(role), actor=SYSTEM).name == name
    refused(Reason.NAME_TAKEN, lambda: registry.roles.create("acme", definition("webhook.slack.*"), actor=SYSTEM))
    named = definition(name="slack-agent")
    refused(Reason.NAME_TAKEN, lambda: registry.roles.create("acme", named, actor=SYSTEM))
    page = registry.roles.list("acme", PageRequest(limit=1))
    rest = registry.roles.list("acme", PageRequest(cursor=page.next_cursor))
    assert [each.name for each in (*page.items, *rest.items)] == ["slack-agent", "slack-agent-2"]
    assert registry.roles.list("acme", PageRequest(), "other").items == ()


def test_assignments_are_bounded(registry: Registry) -> None:
    for number in range(MAX_RUNS - 1):
        registry.roles.create("acme", definition(target=f"t{number}"), actor=SYSTEM)
    registry.roles.create("acme", definition("webhook.slack.*"), actor=SYSTEM)
    for role in ("webhook.slack.message", "webhook.*", "webhook.slack.m*"):
        one_more = definition(role, target="more")
        refused(Reason.TOO_MANY_ROLES, lambda each=one_more: registry.roles.create("acme", each, actor=SYSTEM))  # type: ignore[misc]
    for role in ("webhook.slack.other", "webhook.github.*"):
        registry.roles.create("acme", definition(role), actor=SYSTEM)


def test_a_target_whose_topic_kafka_cannot_tell_from_another_is_refused(registry: Registry) -> None:
    registry.tenants.create("acme_run", actor=SYSTEM)  # acme_run.ledger
    taken = definition(target="ledger")
    refused(Reason.TOPIC_NAME_TAKEN, lambda: registry.roles.create("acme", taken, actor=SYSTEM))
    assert registry.roles.list("acme", PageRequest()).items == ()


class Kafka:
    """Adds partitions and remembers where."""

    def __init__(self) -> None:
        self.grown: list[tuple[str, int]] = []

    def grow(self, topic: TopicRecord, partitions: int) -> TopicRecord:
        self.grown.append((topic.name, partitions))
        return replace(topic, partitions=partitions)


def test_ledger_and_run_topics_grow_by_a_range_when_a_group_first_gets_a_topic_of_the_tenant(
    registry: Registry,
) -> None:
    registry.tenants.create("other", actor=SYSTEM)
    kafka, actor = Kafka(), Actor("key")
    for name, kind in (("acme.ledger", "ledger"), ("acme.run.agent", "run")):
        registry.topics.put(replace(topic(name, kind=kind), span=4), actor=SYSTEM)
    slots = []
    for name in ("acme.webhook.a", "other.webhook.a", "acme.webhook.b", "acme.webhook.c", "acme.webhook.d"):
        slots.append(registry.topics.put(topic(name, tenant=name.partition(".")[0]), actor=SYSTEM))
        grow(registry, kafka, "acme", actor)
    assert [(each.group, each.slot) for each in slots] == [("0", 0), ("1", 0), ("0", 0), ("1", 1), ("0", 0)]
    assert kafka.grown == [("acme.ledger", 8), ("acme.run.agent", 8)]
    shown = registry.load().topics
    assert [(shown[name].partitions, shown[name].span) for name in ("acme.ledger", "acme.run.agent")] == [(8, 4)] * 2
    registry.topics.put(replace(topic("acme.run.late", kind="run"), span=4), actor=SYSTEM)
    grow(registry, kafka, "acme", actor)
    assert kafka.grown[2:] == [("acme.run.late", 8)]


def test_the_migration_numbers_the_groups_that_tenants_have(url: str, clock: ManualClock) -> None:
    registry = Registry(url, vault=Vault(KEY), clock=clock)
    with registry._database.change() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        stamps = "false, 1, 0, 0"
        connection.execute(sa.text(f"INSERT INTO tenants VALUES ('a', {stamps}), ('b', {stamps})"))
        for name, kind, group in (
            ("a.webhook.x", "webhook", "10"), ("a.webhook.y", "webhook", "2"), ("a.ledger", "ledger", ""),
            ("b.webhook.x", "webhook", "10"), ("b.ledger", "ledger", ""), ("a.event.x", "event", ""),
        ):  # fmt: skip
            values = f"('{name}', 'id', '{name[0]}', '{kind}', 'x', 4, '{group}', false)"
            connection.execute(sa.text(f"INSERT INTO topics VALUES {values}"))
    registry.migrate()
    found = {each.name: (each.slot, each.span) for each in registry.topics.list()}
    assert found == {
        "a.webhook.x": (1, 0), "a.webhook.y": (0, 0), "a.ledger": (0, 2), "b.webhook.x": (0, 0), "b.ledger": (0, 4),
        "a.event.x": (0, 0),
    }  # fmt: skip
    registry.close()


def test_sources_tell_their_groups_number(registry: Registry) -> None:
    made = source(registry)
    stored = registry.topics.put(topic(made.topic), actor=SYSTEM)
    assert registry.load().topics[made.topic] == stored


@pytest.mark.parametrize("kind", ["webhook", "event", "quarantine"])
def test_frozen_counts_stay(registry: Registry, kind: str) -> None:
    made = registry.topics.put(topic(f"acme.{kind}.x", kind=kind), actor=SYSTEM)
    refused(Reason.IMMUTABLE, lambda: registry.topics.put(replace(made, partitions=8), actor=SYSTEM))
