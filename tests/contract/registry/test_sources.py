"""Sources, their URLs and secrets."""

import pytest

from schemas.backing.registry import SYSTEM, PageRequest, Registry
from schemas.backing.registry.objects.sources import default_name
from schemas.definitions.key import digest
from schemas.definitions.source import SourceDefinition
from schemas.errors import ConfigurationError
from schemas.reasons import Reason
from tests.contract.registry.make import refused, source, source_definition, topic
from tests.fakes.clock import ManualClock


def test_a_source_is_found_by_id_and_by_name_in_its_tenant_only(registry: Registry) -> None:
    registry.tenants.create("other", actor=SYSTEM)
    made = source(registry)
    assert made.name == "slack"
    assert registry.sources.get("acme", made.id) == made == registry.sources.get("acme", "slack")
    refused(Reason.NOT_FOUND, lambda: registry.sources.get("other", made.id))


def test_refuses_a_name_twice_but_not_in_another_tenant(registry: Registry) -> None:
    registry.tenants.create("other", actor=SYSTEM)
    source(registry)
    refused(Reason.NAME_TAKEN, lambda: source(registry))
    assert source(registry, tenant="other").topic == "other.webhook.slack"


def test_refuses_a_tenant_that_is_not_there(registry: Registry) -> None:
    refused(Reason.NOT_FOUND, lambda: source(registry, tenant="nobody"))


def test_an_update_with_a_stale_version_is_refused(registry: Registry) -> None:
    made = source(registry)
    changed = registry.sources.update(
        "acme", made.id, source_definition(description="a"), if_match=made.version, actor=SYSTEM
    )
    assert (changed.version, changed.definition.description, changed.name) == (2, "a", "slack")
    stale = source_definition(description="b")
    refused(
        Reason.PRECONDITION_FAILED,
        lambda: registry.sources.update("acme", made.id, stale, if_match=made.version, actor=SYSTEM),
    )
    refused(
        Reason.PRECONDITION_FAILED,
        lambda: registry.sources.delete("acme", made.id, if_match=made.version, actor=SYSTEM),
    )


def test_an_update_that_changes_nothing_writes_nothing(registry: Registry) -> None:
    made = source(registry)
    before = registry.revision()
    assert registry.sources.update("acme", made.id, source_definition(), actor=SYSTEM) == made
    assert registry.revision() == before


@pytest.mark.parametrize("changed", [source_definition("github"), source_definition(partitioning="source")])
def test_platform_and_partitioning_never_change(registry: Registry, changed: SourceDefinition) -> None:
    made = source(registry)
    refused(Reason.IMMUTABLE, lambda: registry.sources.update("acme", made.id, changed, actor=SYSTEM))


def test_a_second_source_takes_the_topics_partition_count(registry: Registry) -> None:
    registry.topics.put(topic("acme.webhook.slack", partitions=7), actor=SYSTEM)
    assert source(registry).partitions == 7
    assert source(registry, name="second").partitions == 7


def test_pausing_is_refused_while_the_topic_is_shared(registry: Registry) -> None:
    first = source(registry)
    registry.topics.put(topic(first.topic), actor=SYSTEM)
    registry.sources.update("acme", first.id, source_definition(paused=True), actor=SYSTEM)
    assert registry.topics.get(first.topic).paused
    refused(Reason.TOPIC_SHARED, lambda: source(registry, name="second"))
    registry.sources.update("acme", first.id, source_definition(), actor=SYSTEM)
    assert not registry.topics.get(first.topic).paused
    source(registry, name="second")
    paused = source_definition(paused=True)
    refused(Reason.TOPIC_SHARED, lambda: registry.sources.update("acme", first.id, paused, actor=SYSTEM))


def test_at_most_two_urls_are_alive(registry: Registry, clock: ManualClock) -> None:
    made = source(registry)
    first, token = registry.sources.add_url("acme", made.id, actor=SYSTEM)
    clock.advance(1)
    second, _ = registry.sources.add_url("acme", made.id, actor=SYSTEM)
    assert len(token) == 43
    assert [url.id for url in registry.sources.urls("acme", made.id)] == [first, second]
    refused(Reason.IN_USE, lambda: registry.sources.add_url("acme", made.id, actor=SYSTEM))
    assert registry.load().by_url[digest(token)] == (made.id, first)
    registry.sources.revoke_url("acme", made.id, first, actor=SYSTEM)
    assert digest(token) not in registry.load().by_url
    refused(Reason.NOT_FOUND, lambda: registry.sources.revoke_url("acme", made.id, first, actor=SYSTEM))
    registry.sources.add_url("acme", made.id, actor=SYSTEM)


def test_secrets_leave_the_definition_and_reach_the_snapshot(registry: Registry, clock: ManualClock) -> None:
    made = source(registry, auth={"type": "slack", "secrets": ["one", "two"]})
    assert made.definition.auth.secrets == ()
    assert [secret.value for secret in registry.load().sources[made.id].secrets] == [b"one", b"two"]
    ids = [secret.id for secret in registry.sources.secrets("acme", made.id)]
    clock.advance(1)
    changed = source_definition(auth={"type": "slack", "secrets": ["two", "three"]})
    registry.sources.update("acme", made.id, changed, actor=SYSTEM)
    view = registry.load().sources[made.id]
    assert [secret.value for secret in view.secrets] == [b"two", b"three"]
    assert view.secrets[0].id == ids[1]
    registry.sources.update("acme", made.id, source_definition(description="kept"), actor=SYSTEM)
    assert len(registry.load().sources[made.id].secrets) == 2
    assert "three" not in repr(registry.load())


def test_rotation_adds_watches_and_removes(registry: Registry, clock: ManualClock) -> None:
    made = source(registry, auth={"type": "slack", "secrets": ["old"]})
    clock.advance(1)
    new = registry.sources.add_secret("acme", made.id, b"new", actor=SYSTEM)
    registry.tallies.flush("p1", [{"source_id": made.id, "secret_last_used": {new: 5}}])
    old, fresh = registry.sources.secrets("acme", made.id)
    assert (old.last_used_at_ms, fresh.id, fresh.last_used_at_ms) == (None, new, 5)
    registry.sources.remove_secret("acme", made.id, old.id, actor=SYSTEM)
    assert [secret.value for secret in registry.load().sources[made.id].secrets] == [b"new"]
    for value in (b"2", b"3", b"4"):
        registry.sources.add_secret("acme", made.id, value, actor=SYSTEM)
    refused(Reason.IN_USE, lambda: registry.sources.add_secret("acme", made.id, b"5", actor=SYSTEM))


def test_a_secret_may_come_from_the_environment_but_not_from_a_file(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"type": "slack", "secrets": [{"fromEnv": "HOOKBERG_SECRET_SLACK"}]}
    refused(Reason.INVALID_DEFINITION, lambda: source(registry, auth=given))
    monkeypatch.setenv("HOOKBERG_SECRET_SLACK", "hush")
    made = source(registry, auth=given)
    assert registry.load().sources[made.id].secrets[0].value == b"hush"
    given = {"type": "slack", "secrets": [{"fromFile": "/etc/passwd"}]}
    refused(Reason.UNSUPPORTED, lambda: source(registry, name="other", auth=given))


def test_deleting_a_source_takes_its_urls_and_secrets_with_it(registry: Registry) -> None:
    made = source(registry, auth={"type": "slack", "secrets": ["one"]})
    registry.sources.add_url("acme", made.id, actor=SYSTEM)
    registry.sources.delete("acme", made.id, actor=SYSTEM)
    snapshot = registry.load()
    assert (dict(snapshot.sources), dict(snapshot.by_url), dict(snapshot.by_platform)) == ({}, {}, {})


def test_a_source_opens_once(registry: Registry) -> None:
    made = source(registry)
    assert not made.open
    assert registry.sources.set_open("acme", made.id, actor=SYSTEM).open
    before = registry.revision()
    registry.sources.set_open("acme", made.id, actor=SYSTEM)
    assert registry.revision() == before
    assert registry.load().by_platform["acme", "slack"][0].open


def test_pages_hold_every_source_once(registry: Registry) -> None:
    names = [f"n{index:02}" for index in range(7)]
    for name in reversed(names):
        source(registry, "github" if name == "n03" else "slack", name=name)
    seen, cursor = [], None
    while True:
        page = registry.sources.list("acme", PageRequest(3, cursor))
        seen += [record.name for record in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == names
    assert [r.name for r in registry.sources.list("acme", PageRequest(), "github").items] == ["n03"]
    refused(Reason.BAD_REQUEST, lambda: registry.sources.list("acme", PageRequest(3, "nonsense")))
    refused(Reason.BAD_REQUEST, lambda: PageRequest(201))


@pytest.mark.parametrize(("platform", "name"), [("slack", "slack"), ("my_app", "my-app"), ("__", "source")])
def test_a_source_without_a_name_is_called_after_its_platform(platform: str, name: str) -> None:
    assert default_name(platform) == name


def test_another_vault_key_is_a_configuration_error(registry: Registry, url: str, clock: ManualClock) -> None:
    from schemas.backing.registry import Vault

    source(registry, auth={"type": "slack", "secrets": ["one"]})
    other = Registry(url, vault=Vault(bytes(32)), clock=clock)
    with pytest.raises(ConfigurationError, match="HOOKBERG_VAULT_KEY"):
        other.load()
    other.close()
