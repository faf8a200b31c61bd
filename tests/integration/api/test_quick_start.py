"""The quick start's control-plane calls, verbatim, on an empty server."""

import json

import pytest

from tests.integration.api.world import STREAM, Api


@pytest.mark.parametrize("tenant", [None, "default"])
async def test_quick_start_works_verbatim(api: Api, tenant: str | None) -> None:
    made = await api.send("POST", "/streams", STREAM, tenant=tenant)
    assert made.status == 201
    assert made.json["topics"] == ["default.webhook.slack"]
    assert (made.json["desired"], made.json["state"]) == ("stopped", "created")
    started = await api.send("POST", f"/streams/{made.json['id']}/start", tenant=tenant)
    assert started.status == 200
    assert (started.json["desired"], started.json["state"]) == ("running", "waiting")


async def test_takes_json_that_curl_sends_without_a_content_type(api: Api) -> None:
    raw = json.dumps(STREAM).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await api.send("POST", "/streams", raw=raw, headers=form)).status == 201


async def test_a_stream_starts_once_its_topic_exists(api: Api) -> None:
    await api.make("/sources", {"platform": "slack", "auth": {"type": "none"}})
    made = await api.make("/streams", STREAM)
    started = await api.send("POST", f"/streams/{made['id']}/start")
    assert started.json["state"] == "starting"
