"""Every refusal is a problem with a reason of the closed list; nothing of ours leaks."""

import io
import json
from urllib.parse import urlencode

import pytest

from ingress.api.routes import MAX_LINE_BYTES, PREFIX, Route
from ingress.api.table import ROUTES
from schemas.errors import Refused
from schemas.reasons import Reason
from tests.integration.api.world import SOURCE, STREAM, Api


@pytest.mark.parametrize(
    ("method", "path", "raw", "content_type", "status", "reason"),
    [
        ("POST", "/streams", b"{", "application/json", 400, "not_json"),
        ("POST", "/streams", b"", "application/json", 400, "not_json"),
        ("POST", "/streams", b'{"name":"\xff"}', "application/json", 400, "not_json"),
        ("POST", "/streams", b'{"name":NaN}', "application/json", 400, "not_json"),
        ("POST", "/streams", b"[" * 100_000, "application/json", 400, "not_json"),
        ("POST", "/streams", b"[]", "application/json", 422, "invalid_definition"),
        ("POST", "/streams", b'{"name":"a\\u0000b"}', "application/json", 422, "invalid_definition"),
        ("POST", "/streams", b"{}", "text/xml", 415, "unsupported_media_type"),
        ("PATCH", "/streams/x", b"{}", "application/json", 415, "unsupported_media_type"),
        ("POST", "/streams", None, "application/json", 413, "body_too_large"),
        ("GET", "/nothing", None, None, 404, "not_found"),
        ("GET", "/streams/%00", None, None, 404, "not_found"),
        ("GET", "/streams/" + "x" * 200, None, None, 404, "not_found"),
        ("GET", "/streams/nope", None, None, 404, "not_found"),
        ("PUT", "/tenants", b"{}", "application/json", 405, "method_not_allowed"),
        ("GET", "/streams?limit=0", None, None, 400, "bad_request"),
        ("GET", "/streams?limit=201", None, None, 400, "bad_request"),
        ("GET", "/streams?limit=x", None, None, 400, "bad_request"),
        ("GET", "/streams?cursor=nonsense", None, None, 400, "bad_request"),
        ("GET", "/streams?limitt=5", None, None, 400, "bad_request"),
        ("GET", "/streams?limit=5&limit=6", None, None, 400, "bad_request"),
        ("DELETE", "/streams/x?dropTable=yes", None, None, 400, "bad_request"),
    ],
)
async def test_refuses_bad_requests(
    api: Api, method: str, path: str, raw: bytes | None, content_type: str | None, status: int, reason: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    body = io.BytesIO(b" " * (4 << 20) + b"{}") if status == 413 else raw
    reply = await api.send(method, path, raw=body, headers=headers)
    assert (reply.status, reply.reason) == (status, reason)
    assert reply.json["type"] == f"urn:hookberg:problem:{reason}"
    assert reply.json["title"] == next(each.text for each in Reason if each == reason)
    assert reply.headers["X-Request-Id"] in reply.json["instance"]


async def test_a_chunked_body_over_the_limit_is_refused(api: Api) -> None:
    async def chunks() -> object:
        for _ in range(5):
            yield b" " * (1 << 20)

    headers = {"Authorization": f"Bearer {api.key}", "Content-Type": "application/json"}
    async with api.http.post(f"{api.url}/api/v1/streams", data=chunks(), headers=headers) as answer:
        assert answer.status == 413
        assert (await answer.json(content_type=None))["reason"] == "body_too_large"


async def test_405_names_the_methods(api: Api) -> None:
    reply = await api.send("DELETE", "/streams")
    assert reply.status == 405
    assert set(reply.headers["Allow"].split(",")) == {"GET", "POST"}


async def test_415_of_patch_names_its_type(api: Api) -> None:
    reply = await api.send("PATCH", "/streams/x", raw=b"{}", headers={"Content-Type": "text/plain"})
    assert reply.headers["Accept-Patch"] == "application/merge-patch+json"


async def test_an_encoded_body_is_refused(api: Api) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    reply = await api.send("POST", "/streams", raw=b"\x1f\x8b", headers=headers)
    assert (reply.status, reply.reason) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("change", "reason", "pointer"),
    [
        ({"targetTabel": "x"}, "invalid_definition", "/targetTabel"),
        ({"targetTable": 'github"events'}, "invalid_name", "/targetTable"),
        ({"targetTable": ""}, "invalid_definition", ""),
        ({"targetTable": "hookberg_ledger"}, "invalid_name", "/targetTable"),
        ({"name": "Not A Name"}, "invalid_name", "/name"),
        ({"topics": []}, "invalid_definition", "/topics"),
        ({"topics": ["other.webhook.slack"]}, "invalid_definition", "/topics/0"),
        ({"topics": ["{tenantId}.ledger"]}, "invalid_definition", "/topics/0"),
        ({"topics": ["{tenantId}.webhook.Git Hub"]}, "invalid_definition", "/topics/0"),
        ({"topics": ["_hookberg.pressure"]}, "invalid_definition", "/topics/0"),
        ({"topics": ["{tenantId}.webhook.a", "default.event.a"]}, "invalid_definition", "/topics/1"),
        ({"valueFormat": "AVRO"}, "unsupported", "/valueFormat"),
        ({"splitBy": "eventType", "targetTable": "t" * 65}, "invalid_definition", "/splitBy"),
        ({"splitBy": "source"}, "invalid_definition", "/splitBy"),
        ({"writeMode": "upsert"}, "invalid_definition", ""),
        ({"primaryKey": ["id"], "deleteWhen": {"path": "op", "in": ["d"]}}, "invalid_definition", "/deleteWhen"),
        ({"retentionDays": 0}, "invalid_definition", "/retentionDays"),
        ({"writeMode": "upsert", "primaryKey": ["id"], "retentionDays": 3}, "invalid_definition", "/retentionDays"),
        ({"columnNames": "stitch", "layout": "nested"}, "invalid_definition", "/columnNames"),
        ({"sequenceField": "at"}, "invalid_definition", "/sequenceField"),
        ({"primaryKey": ["id", "id"]}, "invalid_definition", "/primaryKey"),
        ({"primaryKey": ["id"], "layout": "raw"}, "invalid_definition", "/primaryKey"),
    ],
)
async def test_refuses_bad_stream_definitions(api: Api, change: dict[str, object], reason: str, pointer: str) -> None:
    reply = await api.send("POST", "/streams", STREAM | change)
    assert (reply.status, reply.reason) == (422, reason), reply
    assert pointer in reply.pointers
    assert reply.json["detail"]


@pytest.mark.parametrize(
    ("change", "reason", "pointer"),
    [
        ({"platform": "Git Hub"}, "invalid_name", "/platform"),
        ({"auth": {"type": "hmac", "secrets": ["x"]}}, "invalid_definition", "/auth/header"),
        ({"auth": {"type": "jwt"}}, "invalid_definition", "/auth/issuer"),
        ({"auth": {"type": "nobody", "secrets": ["x"]}}, "invalid_definition", "/auth/type"),
        ({"auth": {"type": "github"}}, "invalid_definition", "/auth/secrets"),
        ({"auth": {"type": "url", "secrets": ["x"]}}, "invalid_definition", "/auth/secrets"),
        ({"auth": {"type": "github", "secrets": [{}]}}, "invalid_definition", "/auth/secrets/0"),
        ({"pins": {"push": "github.push@1"}}, "invalid_definition", "/pins/push"),
        ({"dedupe": {"windowSeconds": 5}}, "invalid_definition", "/dedupe/windowSeconds"),
    ],
)
async def test_refuses_bad_source_definitions(api: Api, change: dict[str, object], reason: str, pointer: str) -> None:
    reply = await api.send("POST", "/sources", SOURCE | change)
    assert (reply.status, reply.reason) == (422, reason), reply
    assert pointer in reply.pointers
    assert (await api.send("GET", "/sources")).json["items"] == []


async def test_a_secret_of_a_refused_definition_is_not_echoed(api: Api) -> None:
    for auth in ({"type": "nobody", "secrets": ["hunter2-hunter2"]}, {"type": "github", "secrets": "hunter2-hunter2"}):
        reply = await api.send("POST", "/sources", SOURCE | {"auth": auth})
        assert reply.status == 422
        assert b"hunter2" not in reply.body


async def test_a_failure_of_ours_tells_no_more_than_its_request_id(api: Api) -> None:
    api.topics.failure = RuntimeError("the password is hunter2")
    reply = await api.send("POST", "/sources", SOURCE, headers={"X-Request-Id": "req-7"})
    assert (reply.status, reply.reason) == (500, "internal")
    assert b"hunter2" not in reply.body
    assert b"Traceback" not in reply.body
    assert (reply.headers["X-Request-Id"], reply.json["instance"]) == ("req-7", "urn:hookberg:request:req-7")


async def test_an_unsafe_request_id_is_replaced(api: Api) -> None:
    reply = await api.send("GET", "/streams", headers={"X-Request-Id": "a b" + "c" * 200})
    assert len(reply.headers["X-Request-Id"]) == 36
    assert (await api.send("GET", "/streams", headers={"X-Request-Id": "a.B-9"})).headers["X-Request-Id"] == "a.B-9"


async def test_the_registry_away_is_503_with_retry_after(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: object, **_kwargs: object) -> None:
        raise Refused(Reason.REGISTRY_AWAY)

    monkeypatch.setattr(type(api.env.registry.streams), "list", away)
    reply = await api.send("GET", "/streams")
    assert (reply.status, reply.reason) == (503, "registry_away")
    assert int(reply.headers["Retry-After"]) == reply.json["retryAfter"] >= 1


async def test_problems_are_compact_json(api: Api) -> None:
    reply = await api.send("GET", "/nothing")
    assert json.loads(reply.body).keys() == {"type", "title", "status", "detail", "instance", "reason"}


@pytest.mark.parametrize("route", [route for route in ROUTES if route.query], ids=lambda route: route.path)
async def test_a_line_that_uses_every_parameter_to_its_length_is_read(api: Api, route: Route) -> None:
    query = {one.name: "\U0001f600" * one.maximum if one.kind == "string" else "1" for one in route.query}
    path = "/".join("default" if part.startswith("{") else part for part in route.path.split("/"))
    line = f"{path}?{urlencode(query)}"
    assert len(f"{route.method} {PREFIX}{line} HTTP/1.1") < MAX_LINE_BYTES
    reply = await api.send(route.method, line)
    assert reply.headers["Content-Type"].partition(";")[0] in {"application/json", "application/problem+json"}
