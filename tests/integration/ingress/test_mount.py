"""The other door: the same core inside an aiohttp Application."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web

from ingress.mount import add_data_plane, server_options
from tests.fakes.edge import Edge
from tests.fakes.registry import key, snapshot, source

HEADERS = {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_a"}
UUID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"


@pytest.fixture
def edge() -> Edge:
    return Edge(snapshot([source("shop", auth="none")], keys={"hbk_a": key()}))


@pytest.fixture
async def url(edge: Edge) -> AsyncIterator[str]:
    async def entity(_request: web.Request) -> web.Response:
        return web.Response(text="entity")

    app = web.Application()
    add_data_plane(app, edge.env)
    app.router.add_get("/api/v1/webhooks/{id}", entity)
    runner = web.AppRunner(app, **server_options(30))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_takes_deliveries_like_the_fast_door(edge: Edge, url: str) -> None:
    async with ClientSession(headers=HEADERS) as session:
        async with session.post(f"{url}/api/v1/webhooks/shop", data=b"{}", expect100=True) as response:
            assert response.status == 200
            assert (await response.json())["accepted"] is True
        async with session.post(f"{url}/api/v1/webhooks/generic/acme", data=b'{"a":1}') as response:
            assert response.status == 202
        async with session.post(f"{url}/in/unknown", data=b"") as response:
            assert (response.status, response.content_type) == (404, "application/problem+json")
        async with session.post(f"{url}/api/v1/webhooks/Git%20Hub", data=b"") as response:
            assert (await response.json())["reason"] == "invalid_name"
        async with session.get(f"{url}/api/v1/webhooks/shop") as response:
            assert response.status == 405
    assert [kept.value for kept in edge.publisher.records] == [b"{}", b'{"a":1}']


async def test_keeps_a_compressed_body_as_sent(edge: Edge, url: str) -> None:
    headers = HEADERS | {"Content-Encoding": "gzip"}
    body = b"\x1f\x8b\x08\x00"
    async with (
        ClientSession(headers=headers) as session,
        session.post(f"{url}/api/v1/webhooks/shop", data=body) as said,
    ):
        assert said.status == 200
    assert edge.publisher.records[0].value == b"\x1f\x8b\x08\x00"


async def test_entity_paths_stay_the_control_planes(url: str) -> None:
    async with ClientSession() as session, session.get(f"{url}/api/v1/webhooks/{UUID}") as response:
        assert await response.text() == "entity"
