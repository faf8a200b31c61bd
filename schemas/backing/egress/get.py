"""One bounded GET of a small document, over a connection of its own.

Lives here: what of an answer is taken. Not here: which address is called (guard.py, names.py).
"""

import ssl
from collections.abc import Sequence

import aiohttp

from schemas.backing.egress.names import Pinned
from schemas.errors import Transient

_OK = 200
_CHUNK = 1 << 14


async def fetch(url: str, addresses: Sequence[str], tls: ssl.SSLContext, limit_bytes: int) -> bytes:
    """Return the body of a 200 from one of the addresses; raise `Transient`, or what aiohttp raises."""
    connector = aiohttp.TCPConnector(
        resolver=Pinned(addresses), ssl=tls, use_dns_cache=False, force_close=True, limit=1
    )
    async with (
        aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
        ) as session,
        session.get(
            url,
            allow_redirects=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "hookberg"},
        ) as answer,
    ):
        if answer.status != _OK:
            more = "; redirects are not followed: name the address itself" if 300 <= answer.status < 400 else ""  # noqa: PLR2004
            raise Transient(f"{answer.url.host} answered {answer.status} instead of 200{more}")
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Transient(f"{answer.url.host} compressed its answer, though it was asked not to")
        body = bytearray()
        async for chunk in answer.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > limit_bytes:
                raise Transient(f"{answer.url.host} sent more than {limit_bytes} bytes")
        return bytes(body)
