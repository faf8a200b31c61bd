"""An issuer of tokens on a port of this machine: metadata and a key set over TLS, and every way to misbehave."""

import asyncio
import gzip
import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from schemas.settings.processes import EgressSettings
from tests.house.certificates import authority, issued

HOST = "issuer.test"


@dataclass
class IssuerServer:
    """Serves `/keys` and `/meta`; other paths misbehave. `keys` may change at any time; `calls` counts by path."""

    ca_file: Path
    port: int = 0
    keys: list[dict[str, Any]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    seen: list[web.BaseRequest] = field(default_factory=list)
    down: bool = False

    def url(self, path: str = "/keys", host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"

    def settings(self, **changed: Any) -> EgressSettings:
        """Return the settings of an operator who trusts this issuer."""
        return EgressSettings(**{"egress_networks": "127.0.0.0/8,::1", "egress_ca_file": self.ca_file, **changed})

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.calls[request.path] += 1
        self.seen.append(request)
        if request.path == "/endless":
            return await self._endless(request)
        if request.path == "/silent":
            await asyncio.sleep(30)
        return self._answers(request.path) if not self.down else web.Response(status=500, text="out of order")

    def _answers(self, path: str) -> web.Response:
        document = json.dumps({"keys": self.keys}).encode()
        return {
            "/keys": web.Response(body=document, content_type="application/json"),
            "/meta": web.json_response({"issuer": "x", "jwks_uri": self.url()}),
            "/inward": web.json_response({"jwks_uri": "https://169.254.169.254/keys"}),
            "/moved": web.Response(status=302, headers={"Location": self.url()}),
            "/squeezed": web.Response(body=gzip.compress(document), headers={"Content-Encoding": "gzip"}),
        }.get(path) or web.Response(status=404)

    async def _endless(self, request: web.BaseRequest) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        while True:
            await stream.write(b" " * 65_536)
            await asyncio.sleep(0)


@asynccontextmanager
async def issuing(folder: Path) -> AsyncIterator[IssuerServer]:
    """Serve an issuer with a certificate of an authority of its own."""
    root = authority("Issuer Root")
    certificate, key = issued(root, HOST, dns=[HOST], server=True).write(folder, "issuer")
    ca_file = folder / "root.pem"
    ca_file.write_text(root.pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    issuer = IssuerServer(ca_file)
    runner = web.ServerRunner(web.Server(issuer.answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    issuer.port = int(runner.addresses[0][1])
    try:
        yield issuer
    finally:
        await runner.cleanup()
