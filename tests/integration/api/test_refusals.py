"""`GET /sources/{id}/refusals`: what two workers refused, merged, newest first, redacted."""

import base64
from typing import Any

import pytest

from schemas.backing.registry import TallyFlusher
from schemas.definitions.key import Permission
from tests.fakes.edge import Edge
from tests.integration.api.world import SOURCE, Api

BODY = b'{"action":"opened"}'


@pytest.fixture
async def github(api: Api) -> Any:
    return await api.make("/sources", SOURCE)


def worker(api: Api, at_s: float) -> Edge:
    """Return a worker over the API's registry; its clock stands still."""
    made = Edge(api.env.view.current(), default_tenant="default")
    made.clock.at_s = at_s
    made.refusals._sink = TallyFlusher(api.env.registry.tallies, api.env.registry.refusals)
    return made


async def test_what_several_workers_refused_is_one_ring_newest_first(api: Api, github: Any) -> None:
    one, two = worker(api, 1_750_000_000), worker(api, 1_750_000_001)
    for number in range(40):
        await one.post(f"/api/v1/webhooks/github?n={number}", BODY)
        await two.post(f"/api/v1/webhooks/github?m={number}", BODY, {"X-Hub-Signature-256": "sha256=" + "00" * 32})
    assert await one.refusals.flush()
    assert await two.refusals.flush()
    page = (await api.send("GET", f"/sources/{github['id']}/refusals?limit=200")).json
    assert len(page["items"]) == 50
    assert page["nextCursor"] is None
    newest, *_, oldest = page["items"]
    assert (newest["at"], newest["reason"]) == ("2025-06-15T15:06:41.000Z", "signature_mismatch")
    assert (oldest["at"], oldest["reason"]) == ("2025-06-15T15:06:40.000Z", "signature_missing")
    assert oldest["causes"] == []
    assert any(item["causes"] for item in page["items"])
    first = (await api.send("GET", "/sources/github-main/refusals?limit=20")).json
    second = (await api.send("GET", f"/sources/github-main/refusals?cursor={first['nextCursor']}")).json
    assert [*first["items"], *second["items"]] == page["items"]


async def test_an_entry_names_the_mistake_and_what_to_do_and_verify_says_the_same(api: Api, github: Any) -> None:
    token = github["ingestUrl"].rpartition("/")[2]
    edge = worker(api, 1_750_000_000)
    sent = {"X-Hub-Signature-256": "sha256=" + "0" * 64, "Authorization": "Bearer xyz", "User-Agent": "GitHub-Hookshot"}
    await edge.post(f"/in/{token}?key=hidden", BODY, {})
    await edge.post(f"/in/{token}", BODY, sent)
    assert await edge.refusals.flush()
    reply = await api.send("GET", "/sources/github-main/refusals")
    found, missing = sorted(reply.json["items"], key=lambda item: len(item["headers"]), reverse=True)
    assert missing["url"] == f"/in/{github['urls'][0]['id']}?key=***"
    assert (missing["status"], missing["method"], missing["bodyBytes"]) == (401, "POST", len(BODY))
    assert missing["causes"][0]["cause"] == "header_missing"
    assert ["Authorization", "***"] in found["headers"]
    assert ["User-Agent", "GitHub-Hookshot"] in found["headers"]
    assert token not in reply.body.decode()
    again = {"headers": sent, "bodyBase64": base64.b64encode(BODY).decode(), "url": f"/in/{token}"}
    verdict = (await api.send("POST", "/sources/github-main/verify", again)).json
    assert (verdict["reason"], verdict["detail"]) == (found["reason"], found["detail"])
    assert verdict["causes"][0]["cause"] == found["causes"][0]["cause"] == "unknown"


async def test_rings_are_of_one_tenant_and_want_sources_read(api: Api, github: Any) -> None:
    edge = worker(api, 1_750_000_000)
    await edge.post("/api/v1/webhooks/github", BODY)
    await edge.refusals.flush()
    path = f"/sources/{github['id']}/refusals"
    reader = await api.key_for("default", Permission.SOURCES_READ)
    assert len((await api.send("GET", path, key=reader)).json["items"]) == 1
    writer = await api.key_for("default", Permission.SOURCES_WRITE)
    assert (await api.send("GET", path, key=writer)).status == 403
    await api.make("/tenants", {"id": "acme"})
    assert (await api.send("GET", path, key=await api.key_for("acme"))).status == 404
    assert (await api.send("GET", path + "?n=1")).status == 400


async def test_a_ring_ends_with_its_source(api: Api, github: Any) -> None:
    edge = worker(api, 1_750_000_000)
    await edge.post("/api/v1/webhooks/github", BODY)
    await edge.refusals.flush()
    assert (await api.send("DELETE", f"/sources/{github['id']}")).status == 204
    assert (await api.send("GET", f"/sources/{github['id']}/refusals")).status == 404
    await edge.post("/api/v1/webhooks/github", BODY)  # a worker whose snapshot is a moment old
    assert await edge.refusals.flush()


async def test_the_document_describes_both_calls(api: Api) -> None:
    document = (await api.send("GET", "/openapi.json")).json
    refusals = document["paths"]["/api/v1/sources/{id}/refusals"]["get"]
    verify = document["paths"]["/api/v1/sources/{id}/verify"]["post"]
    assert refusals["operationId"] == "listSourceRefusals"
    assert verify["operationId"] == "verifySourceRequest"
    assert "Permission `sources:write`" in verify["description"]
    example = verify["requestBody"]["content"]["application/json"]["example"]
    assert set(example) == {"method", "url", "headers", "bodyBase64", "at"}
    causes = document["components"]["schemas"]["Cause"]["enum"]
    assert {"body_reencoded", "clock_time_zone", "secret_prefix", "url_mismatch"} <= set(causes)
