"""Subjects: what may change, what never does, and what a snapshot shows of them."""

import pytest

from schemas.backing.registry import SYSTEM, Registry
from schemas.contracts import Asserted
from schemas.definitions.schema import SubjectDefinition
from schemas.reasons import Reason
from tests.contract.registry.make import refused

TEXT = b'{"format":"date"}'


def subject(name: str = "order", **more: object) -> SubjectDefinition:
    return SubjectDefinition.model_validate({"subject": name, **more})


def test_compatibility_and_description_change_and_what_versions_mean_does_not(registry: Registry) -> None:
    registry.subjects.create("acme", subject(), actor=SYSTEM)
    changed = registry.subjects.update("acme", "order", subject(compatibility="full"), if_match=1, actor=SYSTEM)
    assert (changed.version, changed.definition.compatibility) == (2, "full")
    assert registry.subjects.update("acme", "order", subject(compatibility="full"), actor=SYSTEM).version == 2
    renamed, asserting = subject("other"), subject(assertFormats=True)
    refused(Reason.IMMUTABLE, lambda: registry.subjects.update("acme", "order", renamed, actor=SYSTEM))
    refused(Reason.IMMUTABLE, lambda: registry.subjects.update("acme", "order", asserting, actor=SYSTEM))
    stale = subject(compatibility="none")
    refused(
        Reason.PRECONDITION_FAILED,
        lambda: registry.subjects.update("acme", "order", stale, if_match=1, actor=SYSTEM),
    )
    refused(Reason.NOT_FOUND, lambda: registry.subjects.update("other", "order", stale, actor=SYSTEM))


def test_a_version_is_added_only_behind_what_it_was_compared_with(registry: Registry) -> None:
    registry.subjects.create("acme", subject(), actor=SYSTEM)
    first = registry.subjects.add_version("acme", "order", TEXT, after=(1, 0), actor=SYSTEM)
    refused(
        Reason.PRECONDITION_FAILED,
        lambda: registry.subjects.add_version("acme", "order", b"{}", after=(1, 0), actor=SYSTEM),
    )
    registry.subjects.update("acme", "order", subject(compatibility="full"), actor=SYSTEM)
    refused(
        Reason.PRECONDITION_FAILED,
        lambda: registry.subjects.add_version("acme", "order", b"{}", after=(1, 1), actor=SYSTEM),
    )
    assert registry.subjects.add_version("acme", "order", b"{}", after=(2, 1), actor=SYSTEM).version == 2
    assert registry.subjects.add_version("acme", "order", TEXT, after=(1, 0), actor=SYSTEM) == first
    assert registry.subjects.find_version("acme", "order", TEXT) == first
    assert registry.subjects.find_version("acme", "order", b"true") is None


@pytest.mark.parametrize("asserts", [False, True])
def test_a_snapshot_says_whether_formats_judge(registry: Registry, asserts: bool) -> None:
    registry.subjects.create("acme", subject(assertFormats=asserts), actor=SYSTEM)
    registry.subjects.add_version("acme", "order", TEXT, actor=SYSTEM)
    held = registry.load().schemas["acme", "order@1"]
    assert (held, isinstance(held, Asserted)) == (TEXT, asserts)


def test_texts_are_read_once_and_those_of_a_subject_made_again_are_its_own(registry: Registry) -> None:
    registry.subjects.create("acme", subject(), actor=SYSTEM)
    registry.subjects.add_version("acme", "order", TEXT, actor=SYSTEM)
    first = registry.load().schemas
    registry.subjects.add_version("acme", "order", b"{}", actor=SYSTEM)
    second = registry.load().schemas
    assert second["acme", "order@1"] is first["acme", "order@1"]
    assert set(second) == {("acme", "order@1"), ("acme", "order@2")}
    registry.subjects.delete("acme", "order", actor=SYSTEM)
    assert registry.load().schemas == {}
    registry.subjects.create("acme", subject(), actor=SYSTEM)
    registry.subjects.add_version("acme", "order", b"true", actor=SYSTEM)
    assert registry.load().schemas == {("acme", "order@1"): b"true"}
