"""`GET /overview`: a tenant's sources, streams and open alerts, worst first, as the key may read; others' never."""

from typing import Any

import pytest

from schemas.backing.registry import StreamState
from schemas.definitions.alert import AlertKind
from schemas.definitions.key import Permission
from schemas.definitions.stream import State
from schemas.wire.pressure import Origin, Pressure
from tests.contract.registry import outbound_rows
from tests.integration.api.world import SOURCE, Api

STREAM = {"topics": ["{tenantId}.webhook.github"], "targetTable": "events"}


def told(source_id: str, origin: Origin, level: int, **more: Any) -> Pressure:
    given = {
        "lag_events": 5,
        "lag_seconds": 2.5,
        "lag_bytes": 1,
        "drained_per_s": 10.0,
        "quarantine_ratio": 0.25,
    } | more
    return Pressure("default", source_id, origin, 0, level, **given)


async def test_figures_come_worst_first_and_bounded(api: Api) -> None:
    registry = api.env.registry
    ids = {name: (await api.make("/sources", SOURCE | {"name": name}))["id"] for name in ("calm", "pressed", "paused")}
    streams = {}
    for name in ("well", "failed"):
        streams[name] = (await api.make("/streams", STREAM | {"name": name, "targetTable": f"t_{name}"}))["id"]
        await api.send("POST", f"/streams/{name}/start")
    rows = [
        {"source_id": ids["calm"], "accepted": 7, "refused": {"signature_mismatch": 2, "body_too_large": 1}},
        {"source_id": ids["pressed"], "accepted": 1, "shed": 4},
    ]
    registry.tallies.flush("start-1", rows)
    registry.tallies.flush("start-2", rows[:1])
    registry.alerts.open("default", AlertKind.DEPTH, ("source", ids["paused"]), "100 wait", {})
    states = [
        StreamState(
            streams["well"], State.RUNNING, generation=1, rows=9, lag_records=0, lag_s=0.0, freshness_p95_s=3.0
        ),
        StreamState(streams["failed"], State.FAILED, reason="offsets_expired", generation=1),
    ]
    registry.states.put(states)
    pressed = {ids["pressed"]: [told(ids["pressed"], "stage", 2), told(ids["pressed"], "tables", 0, lag_events=3)]}
    object.__setattr__(api.env, "pressures", lambda source_id: pressed.get(source_id, []))
    await api.env.view.refresh()

    found = (await api.send("GET", "/overview")).json
    assert [line["name"] for line in found["sources"]] == ["pressed", "paused", "calm"]
    first, second, third = found["sources"]
    assert first["pressure"] == {
        "level": "alarm", "lagEvents": 5, "lagSeconds": 2.5, "drainedPerSecond": 10.0, "quarantineRatio": 0.25,
        "tablesLagEvents": 3, "tablesLagSeconds": 2.5,
    }  # fmt: skip
    assert (first["shed"], second["alerts"], third["received"], third["refused"]) == (4, 1, 14, 6)
    assert third["pressure"] is None
    assert [(line["name"], line["state"], line["reason"]) for line in found["streams"]] == [
        ("failed", "failed", "offsets_expired"), ("well", "running", None),
    ]  # fmt: skip
    assert [(one["kind"], one["entityId"]) for one in found["alerts"]] == [("depth", ids["paused"])]
    one = (await api.send("GET", "/overview?limit=1")).json
    assert (len(one["sources"]), one["sourcesTotal"], len(one["streams"]), one["streamsTotal"]) == (1, 3, 1, 2)
    assert (await api.send("GET", "/overview?limit=201")).reason == "bad_request"


@pytest.mark.parametrize(
    ("permissions", "lists"),
    [
        ([Permission.SOURCES_READ], {"sources"}),
        ([Permission.STREAMS_READ], {"streams"}),
        ([Permission.EVENTS_READ], {"alerts"}),
        ([Permission.WEBHOOKS_READ], {"webhooks"}),
        ([Permission.SCHEMAS_READ], None),
    ],
)
async def test_a_key_sees_what_it_may_read(api: Api, permissions: list[Permission], lists: set[str] | None) -> None:
    await api.make("/sources", SOURCE)
    answer = await api.send("GET", "/overview", key=await api.key_for("default", *permissions))
    if lists is None:
        assert answer.reason == "forbidden"
        return
    assert {name for name in ("sources", "streams", "webhooks", "alerts") if answer.json[name] is not None} == lists
    assert answer.json["sourcesTotal"] == int("sources" in lists)


async def test_webhooks_that_do_not_arrive_come_first_with_what_waits(api: Api) -> None:
    registry = api.env.registry
    for name, status in (("calm", "active"), ("late", "awaitingRetry"), ("lost", "retryLimitReached")):
        outbound_rows.webhook(registry, name, tenant="default", status=status)
    outbound_rows.delivery(registry, "d", "late", tenant_id="default", created_at_ms=1_790_000_000_000)
    found = (await api.send("GET", "/overview")).json
    assert [(one["name"], one["status"], one["pending"], one["oldestPendingAt"]) for one in found["webhooks"]] == [
        ("lost", "retryLimitReached", 0, None),
        ("late", "awaitingRetry", 1, "2026-09-21T14:13:20.000Z"),
        ("calm", "active", 0, None),
    ]
    assert ((await api.send("GET", "/overview?limit=1")).json["webhooksTotal"], found["webhooks"][2]["trouble"]) == (
        3,
        0,
    )


async def test_tenants_do_not_see_one_another(api: Api) -> None:
    outbound_rows.webhook(api.env.registry, "told", tenant="default")
    source = await api.make("/sources", SOURCE)
    api.env.registry.alerts.open("default", AlertKind.SILENCE, ("source", source["id"]), "quiet", {})
    await api.make("/tenants", {"id": "other"})
    found = (await api.send("GET", "/overview", tenant="other")).json
    assert (found["tenantId"], found["sources"], found["streams"], found["alerts"]) == ("other", [], [], [])
    assert found["webhooks"] == []
    assert (found["sourcesTotal"], found["streamsTotal"], found["moreAlerts"]) == (0, 0, False)
