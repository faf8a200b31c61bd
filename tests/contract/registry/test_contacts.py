"""Contacts in the registry."""

import pytest

from schemas.backing.registry import SYSTEM, PageRequest, Registry
from schemas.backing.registry.objects import contacts
from schemas.definitions.contact import ContactDefinition
from schemas.reasons import Reason
from schemas.wire.change import Op
from tests.contract.registry.make import refused


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


def test_names_are_unique_and_tenants_apart(registry: Registry) -> None:
    registry.tenants.create("other", actor=SYSTEM)
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
