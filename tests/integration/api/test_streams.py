"""Streams: life cycle, state, tables, concurrency by version."""

from typing import Any

import pytest

from schemas.backing.registry import StreamState
from schemas.definitions.stream import State
from sinks.read.quarantine import FILTERS
from tests.integration.api.world import STREAM, Api


async def test_start_stop_restart_are_idempotent(api: Api) -> None:
    made = await api.make("/streams", STREAM)
    for verb, desired in (("start", "running"), ("start", "running"), ("stop", "stopped"), ("stop", "stopped")):
        reply = await api.send("POST", f"/streams/{made['id']}/{verb}")
        assert (reply.status, reply.json["desired"]) == (200, desired)
    generation = (await api.send("GET", "/streams/slack-events/status")).json["generation"]
    assert generation == 1
    await api.send("POST", "/streams/slack-events/restart")
    assert (await api.send("GET", "/streams/slack-events/status")).json["generation"] == 2


async def test_accept_loss_is_passed_on(api: Api) -> None:
    made = await api.make("/streams", STREAM)
    assert (await api.send("POST", f"/streams/{made['id']}/start", {"acceptLoss": True})).status == 200
    assert api.env.view.current().streams[made["id"]].accept_loss
    refused = await api.send("POST", f"/streams/{made['id']}/start", {"acceptLos": True})
    assert (refused.status, refused.pointers) == (422, ["/acceptLos"])


async def test_status_is_what_the_writer_said(api: Api) -> None:
    made = await api.make("/streams", STREAM)
    await api.send("POST", "/streams/slack-events/start")
    said = StreamState(
        stream_id=made["id"],
        state=State.RUNNING,
        generation=1,
        rows=7,
        snapshot_id=2**62,
        committed_at_ms=1_000,
        positions={"t": {"0": 5}},
        lag_records=3,
        freshness_p50_s=0.5,
        index_keys=10,
        index_bytes=490,
        updated_at_ms=2_000,
    )
    api.env.registry.states.put([said])
    found = (await api.send("GET", "/streams/slack-events/status")).json
    assert (found["state"], found["rows"], found["lagEvents"]) == ("running", 7, 3)
    assert (found["snapshotId"], found["positions"]) == (str(2**62), {"t": {"0": 5}})
    assert (found["upsertIndex"], found["upkeep"]) == ({"keys": 10, "sizeBytes": 490}, None)
    assert found["lastCommitAt"] == "1970-01-01T00:00:01.000Z"
    listed = (await api.send("GET", "/streams")).json["items"]
    assert [each["state"] for each in listed] == ["running"]


async def test_a_failure_shows_its_reason(api: Api) -> None:
    made = await api.make("/streams", STREAM)
    await api.send("POST", "/streams/slack-events/start")
    api.env.registry.states.put(
        [StreamState(made["id"], State.FAILED, reason="offsets_expired", message="lost 5..9", generation=1)]
    )
    found = (await api.send("GET", "/streams/slack-events")).json
    assert (found["state"], found["error"]) == ("failed", {"reason": "offsets_expired", "message": "lost 5..9"})


async def test_refuses_a_taken_name_and_a_taken_table(api: Api) -> None:
    await api.make("/streams", STREAM)
    name = await api.send("POST", "/streams", STREAM | {"targetTable": "other"})
    assert (name.status, name.reason) == (409, "name_taken")
    table = await api.send("POST", "/streams", STREAM | {"name": "other"})
    assert (table.status, table.reason) == (409, "table_taken")


async def test_refuses_a_table_that_no_stream_owns(api: Api) -> None:
    api.tables.tables["slack-events"] = []
    refused = await api.send("POST", "/streams", STREAM)
    assert (refused.status, refused.reason) == (409, "table_exists")
    assert (await api.send("PUT", "/streams/slack-events", STREAM)).reason == "table_exists"
    del api.tables.tables["slack-events"]
    made = await api.make("/streams", STREAM)
    api.tables.tables["slack-events"] = []
    assert (await api.send("PUT", f"/streams/{made['id']}", STREAM)).status == 200


async def test_patch_honours_if_match(api: Api) -> None:
    made = await api.send("POST", "/streams", STREAM)
    changed = await api.send(
        "PATCH", "/streams/slack-events", {"description": "d"}, headers={"If-Match": made.headers["ETag"]}
    )
    assert (changed.status, changed.json["version"], changed.json["description"]) == (200, 2, "d")
    for method, body in (("PATCH", {"description": "e"}), ("PUT", STREAM), ("DELETE", None)):
        stale = await api.send(method, "/streams/slack-events", body, headers={"If-Match": made.headers["ETag"]})
        assert (stale.status, stale.reason) == (412, "precondition_failed")
    weak = await api.send("PATCH", "/streams/slack-events", {}, headers={"If-Match": f"W/{changed.headers['ETag']}"})
    assert weak.status == 200
    assert (await api.send("PATCH", "/streams/slack-events", {}, headers={"If-Match": "3"})).status == 400
    assert (await api.send("DELETE", "/streams/slack-events", headers={"If-Match": "*"})).status == 204


async def test_if_none_match_answers_304_until_something_moves(api: Api) -> None:
    made = await api.make("/streams", STREAM)
    first = await api.send("GET", "/streams/slack-events")
    same = await api.send("GET", "/streams/slack-events", headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    api.env.registry.states.put([StreamState(made["id"], State.STOPPED, reason="writer_failed", generation=0)])
    moved = await api.send("GET", "/streams/slack-events", headers={"If-None-Match": first.headers["ETag"]})
    assert moved.status == 200


async def test_patch_keeps_what_a_definition_must_be(api: Api) -> None:
    await api.make("/streams", STREAM)
    for change, status, reason in (
        ({"targetTable": "other"}, 409, "immutable"),
        ({"layout": "raw"}, 409, "immutable"),
        ({"layout": "flat", "columnNames": "stitch"}, 409, "immutable"),
        ({"splitBy": "eventType"}, 409, "immutable"),
        ({"nope": 1}, 422, "invalid_definition"),
        ({"contract": {"columns": "never"}}, 422, "invalid_definition"),
        ({"contract": {"columns": "discardRow", "dataTypes": "freeze"}, "columns": ["/a/b"]}, 200, None),
        ({"topics": ["{tenantId}.webhook.github"]}, 200, None),
    ):
        reply = await api.send("PATCH", "/streams/slack-events", change)
        assert reply.status == status
        assert reason is None or reply.reason == reason
    assert (await api.send("GET", "/streams/slack-events")).json["topics"] == ["default.webhook.github"]


async def test_a_stitch_stream_names_its_table_and_is_flat(api: Api) -> None:
    bare = {"name": "slack-events", "topics": STREAM["topics"], "columnNames": "stitch", "primaryKey": ["id"]}
    made = await api.make("/streams", bare)
    assert (made["targetTable"], made["layout"], made["sequenceField"]) == ("slack_events.data", "flat", None)
    renamed = await api.send("PATCH", "/streams/slack-events", {"name": "slack", "sequenceField": "ts"})
    assert (renamed.status, renamed.json["targetTable"]) == (200, "slack_events.data")
    fixed = await api.send("PATCH", "/streams/slack", {"columnNames": "hookberg"})
    assert (fixed.status, fixed.reason) == (409, "immutable")


async def test_put_is_a_round_trip(api: Api) -> None:
    definition = {key: value for key, value in STREAM.items() if key != "name"}
    assert (await api.send("PUT", "/streams/slack-events", definition)).status == 201
    again = await api.send("PUT", "/streams/slack-events", STREAM)
    assert (again.status, again.json["version"]) == (200, 1)


async def test_delete_keeps_the_table_unless_asked(api: Api) -> None:
    await api.make("/streams", STREAM)
    kept = await api.send("DELETE", "/streams/slack-events")
    assert (kept.status, kept.body) == (204, b"")
    assert (await api.send("GET", "/jobs")).json["items"] == []
    await api.make("/streams", STREAM)
    dropped = await api.send("DELETE", "/streams/slack-events?dropTable=true")
    assert (dropped.status, dropped.json["kind"]) == (202, "sinks.drop_table")
    job = await api.send("GET", f"/jobs/{dropped.json['id']}")
    assert (job.status, job.json["state"]) == (200, "queued")
    claimed = api.env.registry.jobs.claim(["sinks.drop_table"], "w", 5)
    assert claimed is not None
    assert (claimed.arguments["namespace"], claimed.arguments["table"]) == ("default", "slack_events")
    assert (await api.send("GET", "/streams/slack-events")).status == 404


async def test_table_rows_and_columns_come_from_the_reader(api: Api) -> None:
    await api.make("/streams", STREAM)
    for part in ("table", "rows", "columns"):
        assert (await api.send("GET", f"/streams/slack-events/{part}")).reason == "not_found"
    rows: list[dict[str, Any]] = [{"event_id": "b", "n": 2**70}, {"event_id": "a"}]
    api.tables.tables["slack-events"] = rows
    assert (await api.send("GET", "/streams/slack-events/table")).json["catalog"] == "hookberg"
    newest = await api.send("GET", "/streams/slack-events/rows?limit=1")
    assert (newest.status, newest.json) == (200, {"items": [{"event_id": "b", "n": 2**70}]})
    columns = (await api.send("GET", "/streams/slack-events/columns")).json["items"]
    assert [column["name"] for column in columns] == ["event_id", "n"]


async def test_quarantine_passes_its_filters_on(api: Api) -> None:
    reply = await api.send("GET", "/quarantine?reason=schema_violation&limit=5&cursor=abc")
    assert (reply.status, reply.json["items"][0]["pointer"]) == (200, "/a")
    assert api.tables.asked == [("default", {"reason": "schema_violation"}, 5, "abc")]
    every = {
        "source": "s",
        "reason": "r",
        "schema": "a@1",
        "eventType": "push",
        "after": "x",
        "before": "y",
        "kind": "all",
    }
    await api.send("GET", "/quarantine?" + "&".join(f"{name}={value}" for name, value in every.items()))
    assert api.tables.asked[1][1] == every
    assert set(every) == set(FILTERS)  # what the API takes is what the reader reads


@pytest.mark.parametrize("key", ["k" * 255, "3f1e"])
async def test_an_idempotency_key_makes_one_object(api: Api, key: str) -> None:
    headers = {"Idempotency-Key": key}
    first = await api.send("POST", "/keys", {"permissions": ["streams:read"]}, headers=headers)
    again = await api.send("POST", "/keys", {"permissions": ["streams:read"]}, headers=headers)
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    other = await api.send("POST", "/keys", {"permissions": ["streams:write"]}, headers=headers)
    assert (other.status, other.reason) == (422, "idempotency_mismatch")
    assert len((await api.send("GET", "/keys")).json["items"]) == 2


async def test_an_idempotency_key_of_a_refused_call_may_be_used_again(api: Api) -> None:
    headers = {"Idempotency-Key": "one"}
    assert (await api.send("POST", "/streams", STREAM | {"retentionDays": 0}, headers=headers)).status == 422
    assert (await api.send("POST", "/streams", STREAM, headers=headers)).status == 201
    bad = await api.send("POST", "/streams", STREAM, headers={"Idempotency-Key": "a b"})
    assert (bad.status, bad.reason) == (400, "bad_request")


async def test_a_sweep_is_a_job_of_the_writers(api: Api) -> None:
    await api.make("/streams", STREAM)
    asked = await api.send("POST", "/streams/slack-events/sweep")
    assert (asked.status, asked.json["kind"]) == (202, "sinks.sweep_table")
    await api.send("POST", "/streams/slack-events/sweep", {"delete": True, "olderThanHours": 5})
    both = [api.env.registry.jobs.claim(["sinks.sweep_table"], "w", 5) for _ in range(2)]
    told = sorted((one.arguments["delete"], one.arguments["olderThanHours"]) for one in both if one is not None)
    assert told == [(False, 72), (True, 5)]
    assert both[0] is not None
    assert (both[0].arguments["namespace"], both[0].arguments["table"]) == ("default", "slack_events")
    assert (await api.send("POST", "/streams/slack-events/sweep", {"olderThanHours": 0})).status == 422
    assert (await api.send("POST", "/streams/none/sweep")).reason == "not_found"


async def test_a_split_streams_tables_are_nobody_elses(api: Api) -> None:
    split = STREAM | {"name": "split", "targetTable": "crm.seg", "splitBy": "eventType"}
    await api.make("/streams", STREAM | {"name": "own", "targetTable": "crm.github_push"})
    await api.make("/streams", split)
    for table, split_by in (("crm.seg_track", "none"), ("crm.github", "eventType"), ("crm.seg", "eventType")):
        other = STREAM | {"name": "other", "targetTable": table, "splitBy": split_by}
        reply = await api.send("POST", "/streams", other)
        assert (reply.status, reply.reason) == (409, "table_taken"), table
    for table in ("seg_track", "crm.segment"):
        await api.make("/streams", STREAM | {"name": table.replace(".", "-").replace("_", "-"), "targetTable": table})
    fixed = await api.send("PATCH", "/streams/split", {"splitBy": "none"})
    assert (fixed.status, fixed.reason) == (409, "immutable")


async def test_a_type_of_a_split_stream_is_named_in_the_query(api: Api) -> None:
    await api.make("/streams", STREAM | {"splitBy": "eventType"})
    api.tables.tables["slack-events"] = [{"event_id": "1"}]
    for query, asked in (("", None), ("?eventType=order.paid", "order.paid")):
        assert (await api.send("GET", f"/streams/slack-events/rows{query}")).status == 200
        assert api.tables.types[-1] == asked
