"""A source of auth type `jwt` at a running worker, with a real issuer behind TLS: from the key set to the record."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deploy.processes.clock import SystemClock
from ingress.app import serve
from ingress.workers import bind
from schemas.backing.egress import HttpEgress
from schemas.metrics import Metrics
from schemas.settings.processes import IngressSettings
from schemas.wire.raw import AuthResult
from tests.contract.vendors.tokens import BODY, ISSUERS, TEAMS, Issuer
from tests.fakes.publisher import MemoryPublisher
from tests.fakes.registry import FixedView, RecordingRegistrar, RecordingSink, snapshot, source
from tests.integration.issuer import IssuerServer, issuing

ISSUER = next(one for one in ISSUERS if one.name == "jwt-rs256")
TIMES: dict[str, float] = {"jwks_cache_s": 1, "jwks_stale_s": 30, "jwks_retry_s": 1}


@pytest.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[IssuerServer]:
    async with issuing(tmp_path) as made:
        yield made


@dataclass
class Worker:
    """One worker with one source."""

    url: str
    http: aiohttp.ClientSession
    publisher: MemoryPublisher

    async def post(self, token: str, body: bytes = BODY) -> tuple[int, dict[str, Any]]:
        async with self.http.post(self.url, data=body, headers={"Authorization": f"Bearer {token}"}) as answer:
            return answer.status, json.loads(await answer.read())

    async def until_answer(self, key: str, wanted: int, one: Issuer = ISSUER) -> dict[str, Any]:
        """Post tokens of a key until they are answered as wanted; a minute at most."""
        deadline = time.monotonic() + 60
        while True:
            status, said = await self.post(one.make(int(time.time()), key=key))
            if status == wanted:
                return said
            assert time.monotonic() < deadline, said
            await asyncio.sleep(0.1)


@asynccontextmanager
async def working(
    issuer: IssuerServer, auth: dict[str, Any], *, platform: str = "shop", **settings: Any
) -> AsyncIterator[Worker]:
    """Serve a worker whose egress trusts the issuer."""
    given = {**TIMES, "egress_networks": "127.0.0.0/8,::1", "egress_ca_file": issuer.ca_file, **settings}
    made = IngressSettings(kafka_bootstrap_servers="127.0.0.1:1", registry_url="sqlite://", **given)
    view = source(platform, auth=auth, secrets=())
    publisher, sock, stop = MemoryPublisher(), bind("127.0.0.1", 0), asyncio.Event()
    port = sock.getsockname()[1]
    serving = asyncio.create_task(
        serve(
            made,
            view=FixedView(snapshot([view], urls={"t0ken": (view.id, "url-1")})),
            publisher=publisher,
            registrar=RecordingRegistrar(),
            tallies=RecordingSink(),
            clock=SystemClock(),
            metrics=Metrics(),
            egress=HttpEgress.of(made),
            sock=sock,
            receipt_key=b"k",
            stop=stop,
        )
    )
    try:
        async with aiohttp.ClientSession() as http:
            yield Worker(f"http://127.0.0.1:{port}/in/t0ken", http, publisher)
    finally:
        stop.set()
        assert await serving == 0
        sock.close()


async def test_a_key_comes_is_used_and_goes(issuer: IssuerServer) -> None:
    issuer.keys = [ISSUER.jwk("one")]
    async with working(issuer, ISSUER.auth(jwksUrl=issuer.url())) as worker:
        await worker.until_answer("one", 200)
        assert worker.publisher.records[0].meta.auth == AuthResult("jwt", "none", "kid-one")
        issuer.keys = [ISSUER.jwk("one"), ISSUER.jwk("two")]
        await worker.until_answer("two", 200)
        assert (await worker.post(ISSUER.make(int(time.time()), key="one")))[0] == 200
        issuer.keys = [ISSUER.jwk("two")]
        said = await worker.until_answer("one", 401)
        assert said["reason"] == "token_key_unknown"
        assert (await worker.post(ISSUER.make(int(time.time()), key="two")))[0] == 200


async def test_a_flood_of_unknown_keys_reaches_the_issuer_as_a_trickle(issuer: IssuerServer) -> None:
    issuer.keys = [ISSUER.jwk("one")]
    async with working(issuer, ISSUER.auth(jwksUrl=issuer.url()), jwks_retry_s=3600, jwks_cache_s=3600) as worker:
        await worker.until_answer("one", 200)
        for _ in range(10):
            flood = [worker.post(ISSUER.make(int(time.time()), head={"kid": f"k{n}"})) for n in range(20)]
            assert {status for status, _ in await asyncio.gather(*flood)} == {401}
    assert issuer.calls == {"/keys": 1}


async def test_an_issuer_that_is_away_closes_the_source_until_it_is_back(issuer: IssuerServer) -> None:
    issuer.keys, issuer.down = [ISSUER.jwk("one")], True
    async with working(issuer, ISSUER.auth(jwksUrl=issuer.url())) as worker:
        said = await worker.until_answer("one", 503)
        assert said["reason"] == "token_keys_away"
        assert worker.publisher.records == []
        issuer.down = False
        await worker.until_answer("one", 200)


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        ("/moved", {}),
        ("/squeezed", {}),
        ("/endless", {}),
        ("/silent", {"egress_timeout_s": 0.5}),
        ("/inward", {}),
        ("/keys", {"egress_networks": ""}),
        ("/keys", {"egress_ca_file": None}),
    ],
)
async def test_whatever_an_issuer_does_nothing_unproven_is_kept(
    issuer: IssuerServer, path: str, settings: dict[str, Any]
) -> None:
    issuer.keys = [ISSUER.jwk("one")]
    async with working(issuer, ISSUER.auth(jwksUrl=issuer.url(path)), **settings) as worker:
        status, said = await worker.post(ISSUER.make(int(time.time())))
        assert (status, said["reason"]) == (503, "token_keys_away")
        assert worker.publisher.records == []
    assert issuer.calls.total() == (0 if path == "/keys" else issuer.calls[path])


@pytest.mark.parametrize("one", [ISSUER, TEAMS], ids=lambda one: one.name)
async def test_metadata_of_an_issuer_leads_to_its_keys(issuer: IssuerServer, one: Issuer) -> None:
    issuer.keys = [one.jwk("one")]
    more = {"issuer": one.issuer} if one is TEAMS else {}
    async with working(issuer, one.auth(jwksUrl=issuer.url("/meta"), **more), platform=one.platform) as worker:
        await worker.until_answer("one", 200, one)
        status, said = await worker.post(one.make(int(time.time()), aud="x"))
        assert (status, said["reason"]) == (401, "token_audience")
        assert len(worker.publisher.records) == 1
    assert set(issuer.calls) == {"/meta", "/keys"}
