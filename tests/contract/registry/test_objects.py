"""Tenants, keys, streams, states, subjects, topics, counters, idempotency."""

import pytest

from schemas.backing.registry import SYSTEM, Actor, PageRequest, Registry, StreamState, TableUpkeep
from schemas.definitions.key import KeyDefinition, Permission, digest
from schemas.definitions.schema import SubjectDefinition
from schemas.definitions.stream import State
from schemas.reasons import Reason
from tests.contract.registry.make import refused, source, stream, stream_definition, topic
from tests.fakes.clock import ManualClock

ALL = PageRequest(200)


def test_a_deleted_tenant_is_gone_and_its_id_retired(registry: Registry) -> None:
    made = source(registry)
    _, token = registry.sources.add_url("acme", made.id, actor=SYSTEM)
    key = KeyDefinition(tenant_id="acme", permissions=(Permission.STREAMS_READ,))
    _, text = registry.keys.create(key, actor=SYSTEM)
    registry.retired.begin("acme", force=False, drop_tables=False, actor=SYSTEM)
    snapshot = registry.load()
    assert "acme" not in snapshot.tenants
    assert digest(text) not in snapshot.keys
    assert digest(token) not in snapshot.by_url
    assert ("acme", "slack") not in snapshot.by_platform
    assert made.id in snapshot.sources  # the stage still decides what was accepted
    refused(Reason.NOT_FOUND, lambda: registry.tenants.get("acme"))
    refused(Reason.TENANT_RETIRED, lambda: registry.tenants.create("acme", actor=SYSTEM))
    assert registry.tenants.list(ALL).items == ()


def test_a_key_is_shown_once_and_works_until_revoked(registry: Registry) -> None:
    definition = KeyDefinition(tenant_id="acme", permissions=(Permission.SOURCES_READ,), name="ci")
    record, text = registry.keys.create(definition, actor=SYSTEM)
    assert text.startswith("hbk_")
    view = registry.load().keys[digest(text)]
    assert (view.id, view.tenant, view.permissions, view.name) == (
        record.id,
        "acme",
        frozenset({Permission.SOURCES_READ}),
        "ci",
    )
    assert registry.keys.list(ALL, tenant="acme").items == (record,)
    registry.keys.delete(record.id, actor=SYSTEM)
    assert registry.load().keys == {}
    refused(Reason.NOT_FOUND, lambda: registry.keys.get(record.id))


def test_the_admin_keys_text_may_be_given_again(registry: Registry) -> None:
    admin = KeyDefinition(permissions=tuple(Permission))
    first = registry.keys.create_with_text(admin, "hbk_file", actor=SYSTEM)
    assert registry.keys.create_with_text(admin, "hbk_file", actor=SYSTEM) == first
    assert registry.load().keys[digest("hbk_file")].tenant is None


def test_one_stream_owns_a_table(registry: Registry) -> None:
    registry.tenants.create("b", actor=SYSTEM)
    made = stream(registry, "one", "events")
    refused(Reason.TABLE_TAKEN, lambda: stream(registry, "two", "events"))
    refused(Reason.NAME_TAKEN, lambda: stream(registry, "one", "else"))
    stream(registry, "two", "other.events")
    registry.streams.create("b", stream_definition("one", "events"), actor=SYSTEM)
    moved = stream_definition("one", "else")
    refused(Reason.IMMUTABLE, lambda: registry.streams.update("acme", made.id, moved, actor=SYSTEM))
    registry.streams.delete("acme", made.id, actor=SYSTEM)
    stream(registry, "three", "events")


def test_start_and_stop_are_idempotent_and_a_start_is_a_generation(registry: Registry) -> None:
    made = stream(registry)
    assert (made.desired, made.generation) == ("stopped", 0)
    one = registry.streams.set_desired("acme", made.id, "running", actor=SYSTEM)
    assert registry.streams.set_desired("acme", "s", "running", actor=SYSTEM) == one
    assert (one.desired, one.generation, one.version) == ("running", 1, 2)
    assert registry.streams.set_desired("acme", "s", "running", restart=True, actor=SYSTEM).generation == 2
    lossy = registry.streams.set_desired("acme", "s", "running", accept_loss=True, actor=SYSTEM)
    assert (lossy.generation, lossy.accept_loss) == (3, True)
    stopped = registry.streams.set_desired("acme", "s", "stopped", actor=SYSTEM)
    assert (stopped.desired, stopped.generation) == ("stopped", 3)
    again = registry.streams.set_desired("acme", "s", "running", actor=SYSTEM)
    assert (again.generation, again.accept_loss) == (4, False)


def test_a_start_after_a_failure_begins_anew(registry: Registry) -> None:
    made = registry.streams.set_desired("acme", stream(registry).id, "running", actor=SYSTEM)
    registry.states.put([StreamState(made.id, State.FAILED, reason="writer_failed", generation=1)])
    assert registry.streams.set_desired("acme", made.id, "running", actor=SYSTEM).generation == 2
    assert registry.streams.set_desired("acme", made.id, "running", actor=SYSTEM).generation == 2


def test_states_come_back_as_put_and_a_stale_owner_is_not_heard(registry: Registry) -> None:
    made = stream(registry)
    state = StreamState(
        made.id, State.RUNNING, owner="a", generation=2, positions={"topic": {"0": 5}}, lag_s=0.5, bytes=1 << 40,
        upkeep=TableUpkeep(files=3, looked_at_ms=7, error="no room", removed_rows=2, delete_files=3),
        index_keys=9, index_bytes=441,
    )  # fmt: skip
    before = registry.revision()
    registry.states.put([state])
    registry.states.put([StreamState(made.id, State.STOPPED, owner="b", generation=1)])
    assert registry.states.get(made.id) == state
    assert registry.states.all("acme") == {made.id: state}
    assert registry.revision() == before
    registry.streams.delete("acme", made.id, actor=SYSTEM)
    assert registry.states.get(made.id) is None


def test_a_production_source_freezes_the_streams_that_it_feeds(registry: Registry) -> None:
    made, other = stream(registry), stream(registry, "o", topics=["acme.event.github"])
    source(registry, production=True)
    assert [registry.load().streams[s.id].frozen for s in (made, other)] == [True, False]


def test_versions_are_numbered_immutable_and_the_same_again_is_the_same(registry: Registry) -> None:
    registry.subjects.create("acme", SubjectDefinition(subject="github.push"), actor=SYSTEM)
    text = b'{"type": "object", "big": 1e400}'
    assert registry.subjects.add_version("acme", "github.push", text, actor=SYSTEM).version == 1
    assert registry.subjects.add_version("acme", "github.push", b"{}", actor=SYSTEM).version == 2
    assert registry.subjects.add_version("acme", "github.push", text, actor=SYSTEM).version == 1
    assert registry.subjects.get_version("acme", "github.push", 1).schema_json == text
    first = registry.subjects.versions("acme", "github.push", PageRequest(1))
    rest = registry.subjects.versions("acme", "github.push", PageRequest(1, first.next_cursor))
    assert [v.version for v in (*first.items, *rest.items)] == [1, 2]
    assert registry.load().schemas == {("acme", "github.push@1"): text, ("acme", "github.push@2"): b"{}"}
    refused(Reason.NOT_FOUND, lambda: registry.subjects.get_version("acme", "github.push", 3))


def test_a_pinned_subject_stays(registry: Registry) -> None:
    registry.subjects.create("acme", SubjectDefinition(subject="a.b"), actor=SYSTEM)
    made = source(registry, pins={"push": "a.b@1"})
    refused(Reason.IN_USE, lambda: registry.subjects.delete("acme", "a.b", actor=SYSTEM))
    registry.sources.delete("acme", made.id, actor=SYSTEM)
    registry.subjects.delete("acme", "a.b", actor=SYSTEM)
    assert registry.subjects.list("acme", ALL).items == ()


def test_a_raw_topics_group_is_the_least_loaded_and_never_moves(registry: Registry) -> None:
    groups = [registry.topics.put(topic(f"acme.webhook.p{n}"), actor=SYSTEM).group for n in range(4)]
    assert groups == ["0", "1", "0", "1"]
    assert registry.topics.put(topic("acme.webhook.p1"), actor=SYSTEM).group == "1"
    assert registry.topics.put(topic("acme.event.p1", kind="event"), actor=SYSTEM).group == ""


def test_a_group_holds_topics_of_one_partition_count(registry: Registry) -> None:
    registry.topics.put(topic("acme.webhook.a", partitions=4), actor=SYSTEM)
    assert registry.topics.put(topic("acme.webhook.b", partitions=8), actor=SYSTEM).group == "1"
    refused(Reason.UNSUPPORTED, lambda: registry.topics.put(topic("acme.webhook.c", partitions=2), actor=SYSTEM))
    refused(Reason.IMMUTABLE, lambda: registry.topics.put(topic("acme.webhook.a", partitions=8), actor=SYSTEM))


def test_a_recreated_topic_has_another_id_and_the_same_group(registry: Registry) -> None:
    from dataclasses import replace

    first = registry.topics.put(topic("acme.webhook.a"), actor=SYSTEM)
    again = registry.topics.put(replace(first, topic_id="new", group=""), actor=SYSTEM)
    assert (again.topic_id, again.group) == ("new", first.group)
    assert registry.load().topics["acme.webhook.a"] == again


def test_names_that_kafka_cannot_tell_apart_are_refused(registry: Registry) -> None:
    source(registry, "webhook_b")  # acme.webhook.webhook_b
    registry.tenants.create("acme_webhook", actor=SYSTEM)
    refused(Reason.TOPIC_NAME_TAKEN, lambda: source(registry, "b", tenant="acme_webhook"))
    source(registry, "ledger", tenant="acme_webhook")
    refused(Reason.TOPIC_NAME_TAKEN, lambda: registry.tenants.create("acme_webhook_webhook", actor=SYSTEM))


def test_counters_are_absolute_and_summed_over_process_starts(registry: Registry) -> None:
    row = {"source_id": "s", "accepted": 3, "handshakes": 1, "refused": {"no_secret": 2}, "last_event_at_ms": 9}
    for _ in range(2):
        registry.tallies.flush("p1", [row])
    registry.tallies.flush("p1", [{**row, "accepted": 4}])
    registry.tallies.flush("p2", [{"source_id": "s", "accepted": 5, "refused": {"no_secret": 1, "not_found": 1}}])
    tally = registry.tallies.read("s")
    assert (tally.accepted, tally.handshakes, tally.last_event_at_ms) == (9, 1, 9)
    assert tally.refused == {"no_secret": 3, "not_found": 1}


def test_the_same_request_gets_the_same_answer_for_a_day(registry: Registry, clock: ManualClock) -> None:
    store = registry.idempotency
    assert store.begin("k", "once", b"d") is None
    store.save("k", "once", b"d", 201, {"ETag": '"1"'}, b'{"key":"hbk_x"}')
    store.save("k", "once", b"d", 500, {}, b"later")
    saved = store.begin("k", "once", b"d")
    assert saved is not None
    assert (saved.status, saved.headers, saved.body) == (201, {"ETag": '"1"'}, b'{"key":"hbk_x"}')
    refused(Reason.IDEMPOTENCY_MISMATCH, lambda: store.begin("k", "once", b"other"))
    assert store.begin("k2", "once", b"other") is None
    clock.advance(86_401)
    assert store.begin("k", "once", b"other") is None
    store.save("k", "once", b"other", 200, {}, b"")


def test_every_change_is_logged_with_actor_request_and_fields(registry: Registry) -> None:
    actor = Actor("key-1", "req-1")
    made = registry.streams.create("acme", stream_definition(), actor=actor)
    registry.streams.update("acme", made.id, stream_definition(description="new"), actor=actor)
    registry.streams.delete("acme", made.id, actor=actor)
    log = registry.changes.page(0, 100, "acme")[-3:]
    assert [(c.op.value, c.version, c.actor, c.request_id) for c in log] == [
        ("created", 1, "key-1", "req-1"),
        ("updated", 2, "key-1", "req-1"),
        ("deleted", 2, "key-1", "req-1"),
    ]
    assert [(f.pointer, f.old, f.new) for f in log[1].fields] == [("/description", "", "new")]
    newest = registry.changes.audit(PageRequest(2), "acme")
    assert [c.revision for c in newest.items] == [log[2].revision, log[1].revision]
    older = registry.changes.audit(PageRequest(2, newest.next_cursor), "acme")
    assert older.items[0] == log[0]


def test_secrets_and_tokens_never_reach_the_log(registry: Registry) -> None:
    made = source(registry, auth={"type": "slack", "secrets": ["s3cr3t-value"]})
    _, token = registry.sources.add_url("acme", made.id, actor=SYSTEM)
    registry.sources.add_secret("acme", made.id, b"another-s3cr3t", actor=SYSTEM)
    text = repr(registry.changes.page(0, 1000))
    assert token not in text
    assert "s3cr3t" not in text


@pytest.mark.parametrize("wanted", ["acme", None])
def test_changes_are_paged_by_revision(registry: Registry, wanted: str | None) -> None:
    for number in range(5):
        stream(registry, f"s{number}")
    first = registry.changes.page(0, 4, wanted)
    rest = registry.changes.page(first[-1].revision, 100, wanted)
    assert [c.revision for c in (*first, *rest)] == list(range(1, registry.revision() + 1))
