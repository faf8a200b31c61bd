"""The end of a tenant in the registry: disabled and queued in one step, emptied of everything but what says so."""

from dataclasses import replace

from sqlalchemy import func, select

from schemas.backing.registry import SYSTEM, Registry
from schemas.backing.registry.objects.retired import KEPT, _owned
from schemas.backing.registry.tables import METADATA
from schemas.definitions.alert import AlertKind
from schemas.definitions.contact import ContactDefinition
from schemas.definitions.job import DELETE_TENANT, REDRIVE, JobState
from schemas.definitions.key import KeyDefinition, Permission
from schemas.reasons import Reason
from schemas.wire.change import Op
from tests.contract.registry.make import refused, source, stream, topic
from tests.contract.registry.test_webhooks import make as webhook


def begin(registry: Registry, *, force: bool = False, drop: bool = False) -> str:
    return registry.retired.begin("acme", force=force, drop_tables=drop, actor=SYSTEM).id


def rows(registry: Registry) -> dict[str, int]:
    """Return how many rows each table holds."""
    with registry._database.read() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in METADATA.tables.items()
        }


def test_a_deletion_is_one_job_however_often_it_is_asked_for(registry: Registry) -> None:
    running = registry.jobs.create("acme", REDRIVE, {}, actor=SYSTEM)
    assert registry.jobs.claim([REDRIVE], "stage", 60) is not None
    first = begin(registry)
    assert not registry.jobs.progress(running.id, "stage", 0.5, 60), "what ran for it is told to end"
    assert registry.jobs.claim([REDRIVE], "stage", 60) is None
    assert begin(registry, drop=True) == begin(registry, force=True) == first
    assert registry.retired.wanted(first) == {"force": True, "dropTables": True}
    claimed = registry.jobs.claim([DELETE_TENANT], "writers", 60)
    assert claimed is not None
    assert registry.jobs.finish(claimed.id, "writers", {"message": "no"}, failed=True)
    assert begin(registry) == first, "one that failed is begun again"
    assert registry.jobs.get("", first).state is JobState.QUEUED
    refused(Reason.NOT_FOUND, lambda: registry.jobs.create("acme", REDRIVE, {}, actor=SYSTEM))
    refused(Reason.NOT_FOUND, lambda: registry.retired.begin("never", force=True, drop_tables=True, actor=SYSTEM))


def test_nothing_is_made_for_a_tenant_that_goes(registry: Registry) -> None:
    begin(registry)
    refused(Reason.NOT_FOUND, lambda: source(registry))
    refused(Reason.NOT_FOUND, lambda: registry.topics.put(topic("acme.webhook.late"), actor=SYSTEM))


def test_every_row_of_a_tenant_goes_but_what_says_why_it_stays(registry: Registry) -> None:
    registry.tenants.create("other", actor=SYSTEM)
    before = rows(registry)
    made = source(registry)
    registry.sources.add_url("acme", made.id, actor=SYSTEM)
    registry.sources.add_secret("acme", made.id, b"a secret of the vendor", actor=SYSTEM)
    stream(registry, "one", "events")
    registry.topics.put(topic("acme.webhook.slack"), actor=SYSTEM)
    registry.keys.create(KeyDefinition(tenant_id="acme", permissions=(Permission.STREAMS_READ,)), actor=SYSTEM)
    registry.alerts.open("acme", AlertKind.QUARANTINE, ("source", made.id), "bad", {})
    registry.jobs.create("acme", REDRIVE, {}, actor=SYSTEM)
    webhook(registry, config={"secretKey": "a secret of the receiver"})
    registry.contacts.create("acme", ContactDefinition(name="ops"), actor=SYSTEM)
    begin(registry)
    audit = rows(registry)["changes"]
    registry.retired.empty("acme", actor=SYSTEM)
    registry.retired.empty("acme", actor=SYSTEM)  # a step may be done again
    after = rows(registry)
    for name, count in before.items():
        if name not in {"tenants", "topic_names", "changes", "jobs"}:
            assert after[name] == count, name
    assert after["jobs"] == before["jobs"] + 1
    assert after["changes"] >= audit
    gone = {change.entity_type for change in registry.changes.page(audit, 100) if change.op is Op.DELETED}
    assert gone == {"source", "stream", "key", "webhook", "contact"}
    assert registry.load().tenants == {"other"}


def test_each_table_of_the_registry_is_emptied_with_its_tenant_or_says_why_not() -> None:
    cascades = {
        table.name for table in METADATA.tables.values()
        for key in table.foreign_keys if key.ondelete == "CASCADE"
    }  # fmt: skip
    by_hand = {"tallies", "stream_states", "idempotency"}
    assert set(METADATA.tables) == {table.name for table in _owned()} | cascades | by_hand | KEPT.keys()


def test_a_tenants_topics_are_resumed_then_let_go_of_and_their_names_stay_known(registry: Registry) -> None:
    source(registry)
    registry.topics.put(replace(topic("acme.webhook.slack"), paused=True), actor=SYSTEM)
    begin(registry)
    registry.retired.resume("acme", actor=SYSTEM)
    assert registry.load().topics["acme.webhook.slack"].paused is False
    found = registry.retired.remains("acme")
    assert found.topics == {"acme.webhook.slack": (topic("acme.webhook.slack").topic_id, "0")}
    before = registry.revision()
    registry.retired.release("acme", actor=SYSTEM)
    assert registry.revision() > before, "views read it anew"
    assert registry.load().topics == {}
    left = registry.retired.remains("acme")
    assert left.topics == {}
    assert {"acme.webhook.slack", "acme.event.slack", "acme.quarantine.slack", "acme.ledger"} <= set(left.names)
    registry.retired.release("acme", actor=SYSTEM)
    assert registry.revision() == before + 1


def test_streams_are_stopped_and_those_that_ever_ran_are_told(registry: Registry) -> None:
    ran, never = stream(registry, "one", "events"), stream(registry, "two", "others")
    registry.streams.set_desired("acme", ran.id, "running", actor=SYSTEM)
    begin(registry)
    assert registry.retired.stop_streams("acme", actor=SYSTEM) == (ran.id,)
    assert {view.desired for view in registry.load().streams.values()} == {"stopped"}
    assert registry.retired.stop_streams("acme", actor=SYSTEM) == (ran.id,)
    assert never.id not in registry.retired.stop_streams("acme", actor=SYSTEM)
