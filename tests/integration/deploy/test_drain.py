"""SIGTERM gives notice first: /readyz fails while requests are still served; then a door drains and exits 0."""

import asyncio
import os
import secrets
import signal
from base64 import urlsafe_b64encode
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.processes import api
from deploy.processes.foundation import listen
from deploy.processes.prepare import migrate
from ingress.app import serve
from ingress.workers import bind
from schemas.metrics import Metrics
from schemas.settings import ApiSettings, IngressSettings, MigrateSettings
from tests.fakes.clock import ManualClock
from tests.fakes.egress import NoEgress
from tests.fakes.publisher import MemoryPublisher
from tests.fakes.registry import FixedView, RecordingRegistrar, RecordingSink, key, snapshot, source

NOTICE_S = 120.0
LIMIT_S = 60.0


async def checks(http: aiohttp.ClientSession, url: str, text: str) -> tuple[int, dict[str, Any]]:
    async with http.get(f"{url}/readyz", headers={"Authorization": f"Bearer {text}"}) as answer:
        return answer.status, (await answer.json())["checks"]


async def leaving(http: aiohttp.ClientSession, url: str, text: str) -> None:
    """Wait until the door is up, tell it to end, and wait until it says so."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                if (await checks(http, url, text))[1]["process"] == "ok":
                    break
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        while (await checks(http, url, text))[1]["process"] != "shutting down":
            await asyncio.sleep(0.02)


async def ended(process: Awaitable[int], http: aiohttp.ClientSession, url: str) -> None:
    """End the notice, as a second word does, and wait for the end."""
    os.kill(os.getpid(), signal.SIGINT)
    async with asyncio.timeout(LIMIT_S):
        assert await process == 0
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get(f"{url}/livez")


async def test_the_ingress_is_unready_before_it_refuses_anybody() -> None:
    sock = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    settings = IngressSettings(
        kafka_bootstrap_servers="127.0.0.1:1", registry_url="sqlite://", ack_budget_s=1, drain_notice_s=NOTICE_S
    )
    worker = asyncio.create_task(
        serve(
            settings,
            view=FixedView(snapshot([source("shop", auth="none")], keys={"hbk_a": key()})),
            publisher=MemoryPublisher(),
            registrar=RecordingRegistrar(),
            tallies=RecordingSink(),
            clock=ManualClock(),
            metrics=Metrics(),
            egress=NoEgress(),
            sock=sock,
            receipt_key=b"k",
        )
    )
    async with aiohttp.ClientSession() as http:
        await leaving(http, url, "hbk_a")
        headers = {"Authorization": "Bearer hbk_a", "X-Tenant-Id": "acme"}
        async with http.get(f"{url}/readyz") as told, http.get(f"{url}/livez") as lives:
            assert (told.status, await told.json(), lives.status) == (503, {"status": "unready"}, 200)
        async with http.post(f"{url}/api/v1/webhooks/shop", data=b"{}", headers=headers) as answer:
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
        await ended(worker, http, url)
    sock.close()


async def test_the_api_is_unready_before_it_refuses_anybody(tmp_path: Path) -> None:
    admin = f"hbk_{secrets.token_hex(32)}"
    shared: dict[str, Any] = {
        "registry_url": f"sqlite:///{tmp_path / 'registry.db'}",
        "vault_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
    migrate(MigrateSettings(**shared, default_tenant="default", admin_key=admin))
    given = ApiSettings(
        **shared,
        kafka_bootstrap_servers="127.0.0.1:1",
        catalog_uri=f"sqlite:///{tmp_path / 'catalog.db'}",
        catalog_warehouse=f"file://{tmp_path / 'warehouse'}",
        default_tenant="default",
        ack_budget_s=0.2,
        drain_notice_s=NOTICE_S,
    )
    sock = listen("127.0.0.1", 0, "HOOKBERG_API_PORT")
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    process = asyncio.create_task(api._serve(given, sock))
    async with aiohttp.ClientSession() as http:
        await leaving(http, url, admin)
        async with http.get(f"{url}/api/v1/sources", headers={"Authorization": f"Bearer {admin}"}) as answer:
            assert answer.status == 200
        async with http.get(f"{url}/metrics") as page:
            text = await page.text()
        assert 'hookberg_info{process="api"' in text
        assert "_created" not in text
        assert 'hookberg_check_failed{check="process"} 1.0' in text
        assert 'hookberg_api_requests_total{method="GET",status="2xx"} 1.0' in text
        await ended(process, http, url)
