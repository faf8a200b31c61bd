"""`POST /quarantine/redrive` and `/alerts`: counted first, a job with its audit entry; alerts by what is asked."""

from typing import Any

import pytest

from schemas.definitions.alert import AlertKind
from schemas.definitions.key import Permission
from tests.integration.api.world import SOURCE, Api

FILTERS = {
    "source": "shop", "eventType": "order.new", "reason": "schema_violation", "schema": "order@1",
    "after": "2026-01-01T00:00:00Z", "before": "2026-02-01T00:00:00Z",
    "ids": ["6f1f7bb4-3a0e-5b0a-9f0e-0d3c1a2b4c5d"], "limit": 5,
}  # fmt: skip


async def test_a_dry_run_counts_what_the_filters_match_and_queues_nothing(api: Api) -> None:
    reply = await api.send("POST", "/quarantine/redrive", {**FILTERS, "dryRun": True})
    assert (reply.status, reply.json) == (200, {"matching": 5, "byReason": {"schema_violation": 7}})
    assert api.tables.counted == [("default", {**FILTERS, "distinct": False})]
    every = await api.send("POST", "/quarantine/redrive", {"as": "distinct", "dryRun": True})
    assert every.json["matching"] == 7
    assert api.tables.counted[1][1]["distinct"]
    assert (await api.send("GET", "/jobs")).json["items"] == []


async def test_a_redrive_is_a_job_and_the_audit_log_says_who_asked_for_what(api: Api) -> None:
    reply = await api.send("POST", "/quarantine/redrive", FILTERS)
    assert (reply.status, reply.json["kind"], reply.json["state"]) == (202, "streams.redrive", "queued")
    assert reply.headers["Location"] == f"/api/v1/jobs/{reply.json['id']}"
    assert (await api.send("GET", f"/jobs/{reply.json['id']}")).json == reply.json
    asked = dict(api.env.registry.jobs.get("default", reply.json["id"]).arguments)
    assert asked.pop("revision") > 0
    assert asked == FILTERS
    (entry,) = [row for row in (await api.send("GET", "/audit")).json["items"] if row["entityType"] == "job"]
    assert (entry["entityId"], entry["entityName"]) == (reply.json["id"], "streams.redrive")
    assert {field["pointer"]: field["new"] for field in entry["fields"]} == {f"/{k}": v for k, v in FILTERS.items()}


async def test_without_a_body_all_of_it_is_redriven(api: Api) -> None:
    reply = await api.send("POST", "/quarantine/redrive")
    assert reply.status == 202
    assert api.env.registry.jobs.get("default", reply.json["id"]).arguments["limit"] == 100_000


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"reason": "id_conflict"}, "/as"), ({"as": "other"}, "/as"), ({"limit": 0}, "/limit"), ({"after": "x"}, "/after"),
     ({"ids": ["1"]}, "/ids/0"), ({"sources": "x"}, "/sources"), ({"source": ""}, "/source")],
)  # fmt: skip
async def test_a_redrive_that_cannot_be_is_refused(api: Api, body: dict[str, Any], pointer: str) -> None:
    reply = await api.send("POST", "/quarantine/redrive", body)
    assert (reply.status, reply.reason, reply.pointers) == (422, "invalid_definition", [pointer])


async def test_redrives_and_alerts_of_a_tenant_are_its_own(api: Api) -> None:
    for tenant in ("one", "two"):
        await api.make("/tenants", {"id": tenant})
    one = await api.key_for("one", Permission.EVENTS_READ, Permission.EVENTS_WRITE)
    two = await api.key_for("two", Permission.EVENTS_READ)
    job = (await api.send("POST", "/quarantine/redrive", {}, key=one)).json
    alert = api.env.registry.alerts.open("one", AlertKind.QUARANTINE, ("source", "s"), "bad", {})
    for path in (f"/jobs/{job['id']}", f"/alerts/{alert.id}"):
        assert (await api.send("GET", path, key=one)).status == 200
        assert (await api.send("GET", path, key=two)).status == 404
    assert (await api.send("GET", "/alerts", key=two)).json["items"] == []
    assert (await api.send("POST", "/quarantine/redrive", {}, key=two)).reason == "forbidden"


async def test_alerts_are_listed_by_status_kind_and_time(api: Api) -> None:
    alerts = api.env.registry.alerts
    first = alerts.open("default", AlertKind.QUARANTINE, ("source", "s1"), "half of it fails", {"ratio": 0.5})
    alerts.close(AlertKind.QUARANTINE, ("source", "s1"))
    alerts.open("default", AlertKind.QUARANTINE, ("source", "s2"), "bad", {})
    shown = (await api.send("GET", f"/alerts/{first.id}")).json
    assert (shown["status"], shown["kind"], shown["details"]) == ("closed", "quarantine", {"ratio": 0.5})
    assert shown["closedAt"] >= shown["openedAt"]

    async def listed(query: str) -> list[str]:
        reply = await api.send("GET", f"/alerts{query}")
        assert reply.status == 200
        return [item["entityId"] for item in reply.json["items"]]

    assert await listed("") == ["s2", "s1"]
    assert await listed("?status=open") == await listed("?entityId=s2&kind=quarantine") == ["s2"]
    assert await listed("?since=2999-01-01T00:00:00Z") == ["s2"], "what is open still is never left out"
    assert await listed("?kind=silence") == []
    for query in ("?status=wide", "?kind=what", "?since=now", "?nothing=1"):
        assert (await api.send("GET", f"/alerts{query}")).reason == "bad_request"


async def test_a_source_with_an_open_alert_is_degraded(api: Api) -> None:
    made = await api.make("/sources", SOURCE)
    api.env.registry.alerts.open("default", AlertKind.QUARANTINE, ("source", made["id"]), "bad", {})
    assert (await api.send("GET", "/sources/github-main")).json["stats"]["degraded"] is True
    api.env.registry.alerts.close(AlertKind.QUARANTINE, ("source", made["id"]))
    assert (await api.send("GET", "/sources/github-main")).json["stats"]["degraded"] is False
