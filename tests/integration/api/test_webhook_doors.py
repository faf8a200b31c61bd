"""Who answers below `/api/v1/webhooks`, on both doors: entities by UUID and name, ingest by platform and workspace."""

from pathlib import Path

import pytest

from ingress import mount
from ingress.arrival import Arrival, Reply
from ingress.env import Env
from ingress.receive import receive
from tests.fakes.edge import Edge
from tests.fakes.registry import key, snapshot, source
from tests.integration.api.world import WEBHOOK, Api, running
from tests.integration.ingress.door import served

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UNKNOWN = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
OF_THE_API = {
    # GET        HEAD       POST       PUT        PATCH      DELETE     OPTIONS    Allow of the router's 405
    "": ("200 entity 405 router 422 entity 412 entity 405 router 405 router 405 router", "GET,POST,PUT"),
    "/": ("404 router 404 router 404 router 404 router 404 router 404 router 404 router", None),
    "/{id}": ("200 entity 405 router 405 router 412 entity 412 entity 412 entity 405 router", "DELETE,GET,PATCH,PUT"),
    "/{ID}": ("200 entity 405 router 405 router 412 entity 412 entity 412 entity 405 router", "DELETE,GET,PATCH,PUT"),
    f"/{UNKNOWN}": (
        "404 entity 405 router 405 router 404 entity 404 entity 404 entity 405 router", "DELETE,GET,PATCH,PUT",
    ),
    "/{id}/restore": ("405 router 405 router 412 entity 405 router 405 router 405 router 405 router", "POST"),
    "/{id}/versions": ("200 entity 405 router 405 router 405 router 405 router 405 router 405 router", "GET"),
    "/{id}/versions/0.1": ("200 entity 405 router 405 router 405 router 405 router 405 router 405 router", "GET"),
    "/{id}/other": ("404 router 404 router 404 router 404 router 404 router 404 router 404 router", None),
    "/name/hook": ("200 entity 405 router 405 router 405 router 405 router 405 router 405 router", "GET"),
    "/name/default.hook": ("200 entity 405 router 405 router 405 router 405 router 405 router 405 router", "GET"),
    "/name/{id}": ("200 entity 405 router 405 router 405 router 405 router 405 router 405 router", "GET"),
    "/name": (
        "405 ingest 405 ingest 422 ingest 405 router 405 router 405 router 405 ingest", "GET,HEAD,OPTIONS,POST",
    ),
    "/restore": (
        "405 ingest 405 ingest 200 ingest 422 entity 405 router 405 router 405 ingest", "GET,HEAD,OPTIONS,POST,PUT",
    ),
    "/shop": (
        "405 ingest 405 ingest 200 ingest 405 router 405 router 405 router 405 ingest", "GET,HEAD,OPTIONS,POST",
    ),
    "/{id}-x": (
        "405 ingest 405 ingest 200 ingest 405 router 405 router 405 router 405 ingest", "GET,HEAD,OPTIONS,POST",
    ),
    "/generic": (
        "405 ingest 405 ingest 200 ingest 405 router 405 router 405 router 405 ingest", "GET,HEAD,OPTIONS,POST",
    ),
    "/generic/default": (
        "405 ingest 405 ingest 202 ingest 405 router 405 router 405 router 405 ingest", "GET,HEAD,OPTIONS,POST",
    ),
    "/generic/{id}": (
        "405 ingest 405 ingest 404 ingest 405 router 405 router 405 router 405 ingest", "GET,HEAD,OPTIONS,POST",
    ),
    "/shop/versions": ("404 router 404 router 404 router 404 router 404 router 404 router 404 router", None),
}  # fmt: skip
"""By shape: status and who answered, by method. Each call sends `If-Match` of another version: 412 tells the entity."""
OF_THE_FAST_DOOR = {
    "405 405 200 405 405 405 405": ("/restore", "/shop", "/{id}-x", "/generic"),
    "405 405 202 405 405 405 405": ("/generic/default",),
    "405 405 404 405 405 405 405": ("/generic/{id}",),
    "405 405 422 405 405 405 405": ("/{id}", "/{ID}", f"/{UNKNOWN}", "/name"),
    "404 404 404 404 404 404 404": (
        "", "/", "/{id}/restore", "/{id}/versions", "/{id}/versions/0.1", "/{id}/other", "/name/hook",
        "/name/default.hook", "/name/{id}", "/shop/versions",
    ),
}  # fmt: skip
"""By statuses: the shapes; it has no entities, so their paths are names that no platform has, or nothing."""


@pytest.fixture
def edge() -> Edge:
    sources = [source(name, auth="none", tenant="default") for name in ("shop", "generic")]
    return Edge(snapshot(sources, tenants=("default",)))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep the paths that the API gave to ingest."""
    paths: list[str] = []

    async def recorded(arrival: Arrival, env: Env) -> Reply:
        paths.append(arrival.path)
        return await receive(arrival, env)

    monkeypatch.setattr(mount, "receive", recorded)
    return paths


async def test_each_method_at_each_shape_is_answered_by_one(
    tmp_path: Path, template: Path, edge: Edge, taken: list[str]
) -> None:
    async with running(tmp_path, template, data_plane=edge.env) as api, served(edge) as fast:
        edge.view.now = snapshot(
            list(edge.now.sources.values()), tenants=("default",), keys={api.key: key(tenant="default")}
        )
        made = (await api.make("/webhooks", WEBHOOK))["id"]
        for shape, (wanted, allow) in OF_THE_API.items():
            path = f"{api.url}/api/v1/webhooks{shape.format(id=made, ID=made.upper())}"
            found = [await _asked(api, method, path, taken, allow) for method in METHODS]
            assert " ".join(found) == wanted, shape
        for statuses, shapes in OF_THE_FAST_DOOR.items():
            for shape in shapes:
                path = f"http://127.0.0.1:{fast.port}/api/v1/webhooks{shape.format(id=made, ID=made.upper())}"
                found = [(await _asked(api, method, path, taken)).partition(" ")[0] for method in METHODS]
                assert " ".join(found) == statuses, shape
        assert {shape for shapes in OF_THE_FAST_DOOR.values() for shape in shapes} == OF_THE_API.keys()
        assert (await api.send("GET", f"/webhooks/{made}")).json["version"] == 0.1, "nothing was changed"


async def _asked(api: Api, method: str, path: str, taken: list[str], allow: str | None = None) -> str:
    """Return status and who answered; a 405 of the router names what the path takes."""
    taken.clear()
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    headers = {"Authorization": f"Bearer {api.key}", "X-Tenant-Id": "default", "Content-Type": kind}
    sends = method in {"POST", "PUT", "PATCH"}
    headers |= {"If-Match": '"99"'}
    async with api.http.request(method, path, headers=headers, data=b"{}" if sends else None) as answer:
        told = await answer.json(content_type=None) if await answer.read() else {}
        detail = told.get("detail", "") if isinstance(told, dict) else ""
        nobody = "there is nothing at this path" in detail or "this path takes other methods" in detail
        empty = method == "HEAD" and answer.status in {404, 405}
        who = "ingest" if taken else ("router" if nobody or empty else "entity")
        if who == "router" and answer.status == 405 and allow is not None:
            assert answer.headers["Allow"] == allow, (method, path)
        if answer.status == 405:
            assert method not in answer.headers["Allow"].split(",") or who == "ingest", (method, path)
        return f"{answer.status} {who}"
