"""Outbound webhooks and contacts in the registry: versions, secrets, soft delete, references, status.

One registry a database for the file; every test begins without webhooks and contacts.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, select

from schemas.backing.registry import SYSTEM, PageRequest, Registry, Vault, WebhookRecord
from schemas.backing.registry.objects import contacts, webhook_versions, webhooks
from schemas.backing.registry.objects.webhook_record import Include
from schemas.backing.registry.outbound_tables import (
    CONTACTS,
    OUTBOUND_ATTEMPTS,
    OUTBOUND_DELIVERIES,
    WEBHOOK_SECRETS,
    WEBHOOK_VERSIONS,
    WEBHOOKS,
)
from schemas.backing.registry.record import Actor
from schemas.definitions.base import read
from schemas.definitions.contact import ContactDefinition
from schemas.definitions.notification import FailureDetails
from schemas.definitions.webhook import MASK, WebhookDefinition, WebhookStatus
from schemas.reasons import Reason
from schemas.wire.change import Change, Op
from tests.contract.registry.conftest import KEY
from tests.contract.registry.make import refused
from tests.contract.registry.outbound_rows import attempt, delivery
from tests.fakes.clock import ManualClock

ALICE = Actor("alice", "r1")
SECRET = "the first secret of the receiver"
FAILURE = FailureDetails(1, 503, "http_status", 2)


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, clock: ManualClock
) -> Iterator[Registry]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('webhooks')}/registry.db"
    else:
        url = request.getfixturevalue("postgres").fresh_database()
    opened = Registry(url, vault=Vault(KEY), clock=clock)
    opened.migrate()
    for tenant in ("acme", "other"):
        opened.tenants.create(tenant, actor=SYSTEM)
    yield opened
    opened.close()


@pytest.fixture
def registry(made: Registry) -> Registry:
    with made._database.write() as connection:
        for table in (WEBHOOKS, CONTACTS):
            connection.execute(delete(table))
    return made


def definition(name: str = "hook", **members: Any) -> WebhookDefinition:
    config = {"endpoint": "https://example.com/in", **members.pop("config", {})}
    value = {"name": name, "eventFilters": [{"eventType": "entityCreated"}], "webhookConfig": config, **members}
    return read(WebhookDefinition, value)


def make(registry: Registry, name: str = "hook", tenant: str = "acme", **members: Any) -> WebhookRecord:
    return registry.webhooks.create(tenant, definition(name, **members), actor=ALICE)


def change(registry: Registry, name: str = "hook", *, overlap_s: float = 60, **members: Any) -> WebhookRecord:
    return registry.webhooks.update("acme", name, definition(name, **members), overlap_s=overlap_s, actor=ALICE)


def last(registry: Registry) -> Change:
    return registry.changes.page(registry.revision() - 1, 1)[0]


def secrets(registry: Registry) -> list[bytes]:
    (view,) = registry.webhooks.active()
    return [secret.value for secret in view.secrets]


def set_status(registry: Registry, webhook_id: str, status: WebhookStatus, failure: FailureDetails | None) -> bool:
    with registry._database.write() as connection:
        return registry.webhooks.set_status(connection, webhook_id, status, failure)


def test_each_change_is_a_version_and_a_row_of_the_log(registry: Registry) -> None:
    made = make(registry)
    assert (made.entity_version, made.version, made.status, made.change) == (1, 1, WebhookStatus.ACTIVE, None)
    assert (last(registry).entity_type, last(registry).op, last(registry).actor) == ("webhook", Op.CREATED, "alice")
    revision = registry.revision()
    assert change(registry) == made, "no change, no version"
    assert registry.revision() == revision
    changed = change(registry, description="why", tags=[{"tagFQN": "PII.Sensitive"}])
    assert (changed.entity_version, changed.version) == (2, 2)
    assert changed.change is not None
    assert [each["name"] for each in changed.change["fieldsAdded"]] == ["tags"]
    assert changed.change["fieldsUpdated"] == [{"name": "description", "oldValue": "", "newValue": "why"}]
    assert changed.change["previousVersion"] == 0.1
    assert [field.pointer for field in last(registry).fields] == ["/description", "/tags"]
    moved = change(registry, config={"endpoint": "https://example.com/other"})
    assert moved.entity_version == 10, "a receiver must be ready for another place"
    page = registry.webhooks.versions("acme", made.id, PageRequest(limit=2))
    assert [each["version"] for each in page.items] == [1.0, 0.2]
    rest = registry.webhooks.versions("acme", made.id, PageRequest(cursor=page.next_cursor))
    assert [each["version"] for each in rest.items] == [0.1]
    assert registry.webhooks.version("acme", "hook", "0.2") == changed.to_wire()
    refused(Reason.NOT_FOUND, lambda: registry.webhooks.version("acme", "hook", "0.9"))
    refused(Reason.NOT_FOUND, lambda: registry.webhooks.version("acme", "hook", "latest"))


def test_the_history_is_bounded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_versions, "MAX_VERSIONS", 3)
    make(registry)
    for number in range(5):
        change(registry, description=str(number))
    page = registry.webhooks.versions("acme", "hook", PageRequest())
    assert [each["version"] for each in page.items] == [0.6, 0.5, 0.4]


def test_a_name_stays_and_versions_of_the_caller_are_compared(registry: Registry) -> None:
    made = make(registry)
    other = definition("other")
    refused(Reason.IMMUTABLE, lambda: registry.webhooks.update("acme", made.id, other, overlap_s=0, actor=SYSTEM))
    stale = definition(description="x")
    refused(
        Reason.PRECONDITION_FAILED,
        lambda: registry.webhooks.update("acme", "hook", stale, overlap_s=0, if_match=7, actor=SYSTEM),
    )
    refused(Reason.NAME_TAKEN, lambda: make(registry))
    for named in ("hook", "acme.hook", made.id, made.id.upper()):
        assert registry.webhooks.get("acme", named) == made


def test_tenants_do_not_see_each_others_webhooks(registry: Registry) -> None:
    made, theirs = make(registry), make(registry, tenant="other")
    for named in (theirs.id, "other.hook"):
        refused(Reason.NOT_FOUND, lambda each=named: registry.webhooks.get("acme", each))  # type: ignore[misc]
    refused(Reason.INVALID_DEFINITION, lambda: change(registry, fallback={"type": "webhook", "id": theirs.id}))
    assert [each.id for each in registry.webhooks.list("acme", PageRequest()).items] == [made.id]
    assert [view.tenant for view in registry.webhooks.active()] == ["acme", "other"]


def test_a_replaced_secret_signs_on_for_a_while_and_two_live_at_most(registry: Registry, clock: ManualClock) -> None:
    assert make(registry, config={"secretKey": SECRET}).signs
    assert [field.new for field in last(registry).fields if field.pointer.endswith("secretKey")] == ["***"]
    change(registry, config={"secretKey": MASK})
    change(registry)
    assert secrets(registry) == [SECRET.encode()]
    second = change(registry, config={"secretKey": "whsec_c2Vjb25k"})
    assert second.change is not None
    assert second.change["fieldsUpdated"] == [{"name": "webhookConfig.secretKey", "oldValue": "***", "newValue": "***"}]
    assert secrets(registry) == [b"whsec_c2Vjb25k", SECRET.encode()]
    change(registry, config={"secretKey": "third"})
    assert secrets(registry) == [b"third", b"whsec_c2Vjb25k"]
    clock.advance(61)
    assert secrets(registry) == [b"third"]
    change(registry, config={"secretKey": "fourth"}, overlap_s=0)
    assert secrets(registry) == [b"fourth"]
    gone = change(registry, config={"secretKey": None})
    assert not gone.signs
    assert secrets(registry) == []
    assert gone.to_wire()["webhookConfig"]["secretKey"] is None


def test_no_secret_is_stored_or_told_in_the_clear(registry: Registry) -> None:
    made = make(registry, config={"secretKey": SECRET})
    change(registry, config={"secretKey": SECRET + "2"})
    assert made.to_wire()["webhookConfig"]["secretKey"] == MASK
    assert SECRET not in repr(registry.webhooks.active()) + repr(made)
    with registry._database.read() as connection:
        kept = [bytes(row.ciphertext) for row in connection.execute(select(WEBHOOK_SECRETS))]
        history = [row.document for row in connection.execute(select(WEBHOOK_VERSIONS))]
    assert len(kept) == 2
    assert not any(SECRET.encode() in each for each in kept)
    assert not any(SECRET in each for each in history)
    assert SECRET not in repr([change.to_wire() for change in registry.changes.page(0, 1000)])


def test_a_soft_delete_hides_keeps_the_name_and_is_taken_back(registry: Registry) -> None:
    made = make(registry)
    gone = registry.webhooks.remove("acme", "hook", actor=ALICE)
    assert (gone.deleted, gone.status, gone.entity_version) == (True, WebhookStatus.DISABLED, 10)
    row = last(registry)
    assert (row.op, [field.pointer for field in row.fields]) == (Op.UPDATED, ["/deleted", "/status"])
    refused(Reason.NOT_FOUND, lambda: registry.webhooks.get("acme", "hook"))
    refused(Reason.NOT_FOUND, lambda: change(registry, description="x"))
    assert registry.webhooks.get("acme", "hook", Include.DELETED) == registry.webhooks.get("acme", made.id, Include.ALL)
    assert registry.webhooks.active() == ()
    assert registry.webhooks.list("acme", PageRequest()).items == ()
    assert len(registry.webhooks.list("acme", PageRequest(), include=Include.DELETED).items) == 1
    assert "hardDelete" in refused(Reason.NAME_TAKEN, lambda: make(registry)).detail
    back = registry.webhooks.restore("acme", "hook", actor=ALICE)
    assert (back.deleted, back.status, back.entity_version) == (False, WebhookStatus.ACTIVE, 11)
    revision = registry.revision()
    assert registry.webhooks.restore("acme", "hook", actor=ALICE) == back
    assert registry.revision() == revision
    refused(Reason.NOT_FOUND, lambda: registry.webhooks.get("acme", "hook", Include.DELETED))


def test_a_hard_delete_leaves_nothing(registry: Registry) -> None:
    made = make(registry, config={"secretKey": SECRET})
    delivery(registry, "pending", made.id)
    attempt(registry, "pending", 1, 1, 503, of=made.id)
    registry.webhooks.remove("acme", "hook", actor=ALICE)
    registry.webhooks.delete("acme", "hook", actor=ALICE)
    assert last(registry).op is Op.DELETED
    with registry._database.read() as connection:
        for table in (WEBHOOK_SECRETS, WEBHOOK_VERSIONS, OUTBOUND_DELIVERIES, OUTBOUND_ATTEMPTS):
            assert connection.execute(select(table)).all() == []
    assert make(registry).entity_version == 1


def test_a_fallback_is_another_webhook_of_the_tenant_and_no_circle(registry: Registry) -> None:
    first, second = make(registry), make(registry, "second", fallback={"type": "webhook", "name": "hook"})
    assert second.definition.fallback is not None
    assert second.definition.fallback.id == first.id
    same = second.to_wire()["fallback"] | {"deleted": False, "href": "https://example.com/x"}
    assert change(registry, "second", fallback=same) == second
    for fallback in ("second", "acme.second", "hook", "nobody"):
        given = {"type": "webhook", "name": fallback}
        refused(Reason.INVALID_DEFINITION, lambda each=given: change(registry, fallback=each))  # type: ignore[misc]
    refused(Reason.INVALID_DEFINITION, lambda: change(registry, fallback={"type": "user", "name": "second"}))
    refused(Reason.IN_USE, lambda: registry.webhooks.remove("acme", "hook", actor=ALICE))
    refused(Reason.IN_USE, lambda: registry.webhooks.delete("acme", "hook", actor=ALICE))
    registry.webhooks.remove("acme", "second", actor=ALICE)
    said = refused(Reason.IN_USE, lambda: registry.webhooks.delete("acme", "hook", actor=ALICE))
    assert "second (deleted)" in said.detail
    registry.webhooks.delete("acme", "second", actor=ALICE)
    registry.webhooks.delete("acme", "hook", actor=ALICE)


def test_an_owner_that_is_a_contact_is_shown_as_it_is_now(registry: Registry) -> None:
    contact = registry.contacts.create("acme", ContactDefinition(name="Data team", type="team"), actor=SYSTEM)
    made = make(registry, owner={"type": "team", "name": "Data team"})
    assert made.to_wire()["owner"]["id"] == contact.id
    registry.contacts.update("acme", contact.id, ContactDefinition(name="Data", type="team"), actor=SYSTEM)
    shown = registry.webhooks.get("acme", "hook").to_wire()["owner"]
    assert (shown["name"], shown["fullyQualifiedName"]) == ("Data", "Data")
    registry.contacts.delete("acme", contact.id, actor=SYSTEM)
    left = registry.webhooks.get("acme", "hook").to_wire()["owner"]
    assert (left["id"], left["name"]) == (contact.id, "Data team")
    foreign = {"type": "user", "id": "someone", "name": "of elsewhere"}
    assert change(registry, owner=foreign).to_wire()["owner"]["name"] == "of elsewhere"


def test_a_status_is_a_change_but_no_version_and_the_disabled_stay_so(registry: Registry) -> None:
    made = make(registry)
    assert not set_status(registry, made.id, WebhookStatus.ACTIVE, None)
    assert set_status(registry, made.id, WebhookStatus.AWAITING_RETRY, FAILURE)
    now = registry.webhooks.get("acme", "hook")
    assert (now.status, now.entity_version, now.version) == (WebhookStatus.AWAITING_RETRY, 1, 2)
    assert now.failure == FAILURE.to_wire()
    assert [field.pointer for field in last(registry).fields] == ["/status"]
    revision = registry.revision()
    assert not set_status(registry, made.id, WebhookStatus.AWAITING_RETRY, FailureDetails(5, None, "timeout"))
    assert registry.revision() == revision
    assert registry.webhooks.get("acme", "hook").failure == FailureDetails(5, None, "timeout").to_wire()
    assert set_status(registry, made.id, WebhookStatus.DISABLED, FAILURE)
    assert not set_status(registry, made.id, WebhookStatus.ACTIVE, None)
    off = registry.webhooks.get("acme", "hook")
    assert (off.status, off.definition.enabled, off.failure) == (WebhookStatus.DISABLED, False, FAILURE.to_wire())
    on = change(registry)
    assert (on.status, on.failure, on.entity_version) == (WebhookStatus.ACTIVE, None, 2)
    off = change(registry, enabled=False)
    assert off.status is WebhookStatus.DISABLED
    assert not set_status(registry, "gone", WebhookStatus.ACTIVE, None)


def test_lists_are_filtered_and_paged(registry: Registry) -> None:
    for name in ("a1", "a2", "a3", "b1"):
        make(registry, name, batchSize=1 if name == "a2" else 10)
    page = registry.webhooks.list("acme", PageRequest(limit=1), lambda each: each.definition.batch_size == 10)
    assert [each.name for each in page.items] == ["a1"]
    rest = registry.webhooks.list("acme", PageRequest(limit=1, cursor=page.next_cursor), prefix="a")
    assert [each.name for each in rest.items] == ["a2"]
    end = registry.webhooks.list("acme", PageRequest(limit=1, cursor=rest.next_cursor), prefix="a")
    assert ([each.name for each in end.items], end.next_cursor) == (["a3"], None)


def test_webhooks_are_bounded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MAX_WEBHOOKS", 1)
    make(registry)
    registry.webhooks.remove("acme", "hook", actor=ALICE)
    refused(Reason.TOO_MANY_WEBHOOKS, lambda: make(registry, "second"))
    refused(Reason.NOT_FOUND, lambda: make(registry, tenant="nobody"))
    terms = [f"{number:0250}" for number in range(200)]
    filters = [{"eventType": "entityCreated", "include": terms}] * 6
    registry.webhooks.delete("acme", "hook", actor=ALICE)
    refused(Reason.INVALID_DEFINITION, lambda: make(registry, eventFilters=filters))


def test_contacts_are_made_changed_and_removed_with_their_rows_in_the_log(registry: Registry) -> None:
    before = registry.revision()
    made = registry.contacts.create("acme", ContactDefinition(name="Zoë Ø", follows=("table:acme.*",)), actor=SYSTEM)
    same = registry.contacts.update("acme", "Zoë Ø", made.definition, actor=SYSTEM)
    assert same == made
    wanted = ContactDefinition(name="Zoë", admin=True)
    refused(
        Reason.PRECONDITION_FAILED,
        lambda: registry.contacts.update("acme", made.id, wanted, if_match=2, actor=SYSTEM),
    )
    changed = registry.contacts.update("acme", made.id, wanted, if_match=1, actor=SYSTEM)
    assert (changed.version, changed.name, registry.contacts.get("acme", "Zoë")) == (2, "Zoë", changed)
    (view,) = registry.contacts.all("acme")
    assert (view.id, view.definition) == (made.id, wanted)
    registry.contacts.delete("acme", made.id, actor=SYSTEM)
    log = registry.changes.page(before, 10)
    assert [(row.entity_type, row.op) for row in log] == [
        ("contact", Op.CREATED), ("contact", Op.UPDATED), ("contact", Op.DELETED)
    ]  # fmt: skip
    assert registry.contacts.all("acme") == ()


def test_names_of_contacts_are_unique_and_tenants_apart(registry: Registry) -> None:
    theirs = registry.contacts.create("other", ContactDefinition(name="ops"), actor=SYSTEM)
    ours = registry.contacts.create("acme", ContactDefinition(name="ops"), actor=SYSTEM)
    refused(Reason.NAME_TAKEN, lambda: registry.contacts.create("acme", ours.definition, actor=SYSTEM))
    registry.contacts.create("acme", ContactDefinition(name="Ops"), actor=SYSTEM)
    refused(Reason.NAME_TAKEN, lambda: registry.contacts.update("acme", "Ops", ours.definition, actor=SYSTEM))
    refused(Reason.NOT_FOUND, lambda: registry.contacts.get("acme", theirs.id))
    assert [each.id for each in registry.contacts.list("other", PageRequest()).items] == [theirs.id]
    assert [each.name for each in registry.contacts.list("acme", PageRequest(), "Op").items] == ["Ops"]


def test_contacts_are_bounded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "MAX_CONTACTS", 1)
    registry.contacts.create("acme", ContactDefinition(name="one"), actor=SYSTEM)
    refused(
        Reason.TOO_MANY_CONTACTS,
        lambda: registry.contacts.create("acme", ContactDefinition(name="two"), actor=SYSTEM),
    )
