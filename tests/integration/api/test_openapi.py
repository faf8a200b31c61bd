"""The OpenAPI document, the docs page, health."""

import hashlib
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from ingress.api import swagger_ui
from ingress.api.table import ROUTES
from tests.integration.api.world import STREAM, Api, running


async def test_the_document_is_valid_openapi_31_and_needs_no_key(api: Api) -> None:
    reply = await api.send("GET", "/openapi.json", headers={"Authorization": ""})
    assert reply.status == 200
    assert reply.json["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(reply.json).validate()


async def test_the_document_holds_every_route_and_the_data_plane(api: Api) -> None:
    paths = (await api.send("GET", "/openapi.json")).json["paths"]
    for route in ROUTES:
        assert paths[f"/api/v1{route.path}"][route.method.lower()]["operationId"] == route.operation
    for path in ("/api/v1/webhooks/{platform}", "/api/v1/webhooks/generic/{workspace_id}", "/in/{url_token}"):
        assert "post" in paths[path]
    operations = [call["operationId"] for item in paths.values() for call in item.values()]
    assert len(operations) == len(set(operations))
    body = paths["/api/v1/streams"]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"] == STREAM


async def test_the_docs_page_without_swagger_ui_links_the_document(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path, template, static=tmp_path / "none") as api:
        page = await api.send("GET", "/docs")
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b'<meta charset="utf-8">' in page.body
        assert b'href="/api/v1/openapi.json"' in page.body
        assert (await api.send("GET", "/docs/swagger-ui.css")).status == 404


async def test_the_docs_page_asks_no_other_host(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    static = tmp_path / "static"
    static.mkdir()
    for name in swagger_ui.FILES:
        (static / name).write_bytes(name.encode())
        monkeypatch.setitem(swagger_ui.FILES, name, hashlib.sha256(name.encode()).hexdigest())
    async with running(tmp_path, template, static=static) as api:
        page = await api.send("GET", "/docs")
        assert b"http" not in page.body.replace(b"<!doctype html>", b"")
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        for name in (*swagger_ui.FILES, "start.js"):
            assert (await api.send("GET", f"/docs/{name}")).status == 200
        assert (await api.send("GET", "/docs/..%2fenv.py")).status == 404


async def test_health_tells_what_is_missing(api: Api) -> None:
    assert (await api.send("GET", "/livez")).status == 200
    assert (await api.send("GET", "/readyz")).json == {"status": "ready", "checks": {}}
    assert (await api.send("GET", "/readyz", key="hbk_unknown")).json == {"status": "ready"}
