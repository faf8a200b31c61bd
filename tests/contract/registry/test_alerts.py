"""Alerts: one open a kind and entity, told in the log of changes once when it opens and once when it closes."""

from schemas.backing.registry import SYSTEM, PageRequest, Registry
from schemas.definitions.alert import AlertKind, AlertStatus
from schemas.reasons import Reason
from schemas.wire.change import Op
from tests.contract.registry.make import refused
from tests.fakes.clock import ManualClock

FLOOD, SOURCE = AlertKind.QUARANTINE, ("source", "source-1")


def test_an_alert_opens_once_is_kept_up_to_date_and_closes_once(registry: Registry, clock: ManualClock) -> None:
    first = registry.alerts.open("acme", FLOOD, SOURCE, "half of it fails", {"ratio": 0.5})
    clock.advance(1)
    again = registry.alerts.open("acme", FLOOD, SOURCE, "all of it fails", {"ratio": 1.0})
    assert (again.id, again.opened_at_ms, again.details) == (first.id, first.opened_at_ms, {"ratio": 1.0})
    assert again.updated_at_ms > first.updated_at_ms
    assert [alert.entity_id for alert in registry.alerts.opened(FLOOD, ["source-1"])] == ["source-1"]
    assert registry.alerts.open_by_kind()[FLOOD.value] == len(registry.alerts.opened(FLOOD))
    assert registry.alerts.opened(AlertKind.SILENCE) == registry.alerts.opened(FLOOD, ["other"]) == ()
    assert registry.alerts.close(FLOOD, SOURCE)
    assert not registry.alerts.close(FLOOD, SOURCE)
    closed = registry.alerts.get("acme", first.id)
    assert (closed.status, closed.closed_at_ms) == (AlertStatus.CLOSED, clock.time_ns() // 1_000_000)
    told = [change for change in registry.changes.page(0, 100) if change.entity_type == "alert"]
    assert [(change.op, change.entity_name) for change in told] == [(Op.CREATED, FLOOD), (Op.UPDATED, FLOOD)]
    assert [(field.pointer, field.new) for field in told[1].fields] == [("/status", "closed")]


def test_another_level_of_an_open_alert_is_told_and_every_change_has_its_version(registry: Registry) -> None:
    first = registry.alerts.open("acme", AlertKind.DEPTH, SOURCE, "much waits", {"level": "warn"})
    registry.alerts.open("acme", AlertKind.DEPTH, SOURCE, "more waits", {"level": "warn"})
    again = registry.alerts.open("acme", AlertKind.DEPTH, SOURCE, "too much waits", {"level": "alarm"})
    registry.alerts.close(AlertKind.DEPTH, SOURCE)
    assert again.id == first.id
    told = [change for change in registry.changes.page(0, 100) if change.entity_id == first.id]
    assert [(change.op, change.version) for change in told] == [(Op.CREATED, 1), (Op.UPDATED, 2), (Op.UPDATED, 3)]
    field = told[1].fields[0]
    assert (field.pointer, field.old, field.new) == ("/details/level", "warn", "alarm")


def test_what_is_wrong_again_is_another_alert(registry: Registry) -> None:
    first = registry.alerts.open("acme", FLOOD, SOURCE, "one", {})
    registry.alerts.close(FLOOD, SOURCE)
    assert registry.alerts.open("acme", FLOOD, SOURCE, "two", {}).id != first.id


def test_alerts_are_listed_newest_first_and_by_what_is_asked(registry: Registry, clock: ManualClock) -> None:
    registry.tenants.create("other", actor=SYSTEM)
    made = []
    for number in range(4):
        clock.advance(1)
        made.append(registry.alerts.open("acme", FLOOD, ("source", f"s{number}"), "bad", {}))
    registry.alerts.open("other", FLOOD, ("source", "theirs"), "bad", {})
    registry.alerts.close(FLOOD, ("source", "s1"))
    every = registry.alerts.list("acme", PageRequest(3))
    rest = registry.alerts.list("acme", PageRequest(3, every.next_cursor))
    assert [alert.entity_id for alert in (*every.items, *rest.items)] == ["s3", "s2", "s1", "s0"]
    closed = registry.alerts.list("acme", PageRequest(), status="closed")
    assert [alert.entity_id for alert in closed.items] == ["s1"]
    since = registry.alerts.list("acme", PageRequest(), since_ms=made[2].opened_at_ms)
    assert [alert.entity_id for alert in since.items] == ["s3", "s2", "s0"], "what is open still is never left out"
    assert registry.alerts.list("acme", PageRequest(), entity_id="theirs", kind=FLOOD).items == ()
    refused(Reason.NOT_FOUND, lambda: registry.alerts.get("other", made[0].id))
