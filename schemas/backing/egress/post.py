"""One bounded POST, over a connection that may be kept: what it came to, never an exception.

Lives here: what is sent, what of an answer is kept, the reasons why there is none. Not here: what a status means for a
delivery (sinks/notify). What a sender of webhooks must hold: https://github.com/standard-webhooks/standard-webhooks
"""

import asyncio
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice

import aiohttp
from yarl import URL

from schemas.backing.egress.guard import Guard, port_of, split
from schemas.backing.egress.names import Forbidden, Unresolved
from schemas.backing.egress.pool import Endpoint, Line, Pool
from schemas.reasons import Reason

Headers = tuple[tuple[str, str], ...]
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e\t]{0,8000}")
_ALWAYS = (("Accept", "*/*"), ("Accept-Encoding", "identity"))
_CONNECTION = frozenset(
    {"content-length", "transfer-encoding", "connection", "host", "upgrade", "te", "trailer", "expect"}
)
_HIDDEN = frozenset({"set-cookie", "set-cookie2"})
_MAX_HEADERS = 50
_MAX_NAME = 100
_MAX_HEADER = 1000
_CHUNK = 1 << 14


@dataclass(frozen=True, slots=True)
class Posted:
    """What a call came to: a status with the answer's head and bounded body, or a `reason` why there was none.

    `detail` says in words what to do, and holds nothing that was sent. A body that is longer than the limit, or does
    not end in time, is `cut`: the status counts all the same. Names of headers are lower-case, no cookies among them.
    """

    status: int | None
    reason: Reason | None
    detail: str
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)
    cut: bool = False
    duration_ms: int = 0


class Poster:
    """Posts over a pool's connections. Total: everything that can happen is a `Posted`."""

    def __init__(self, guard: Guard, pool: Pool, ca_setting: str) -> None:
        self._guard = guard
        self._pool = pool
        self._ca_setting = ca_setting

    async def post(self, url: str, headers: Headers, body: bytes, timeout_s: float, limit: int) -> Posted:
        """Send once, within `timeout_s` from the look-up of the name to the end of the answer.

        A kept connection that the other side closed before it answered is followed by a fresh one: servers close idle
        connections at any moment, and whoever knows the message's id drops what comes twice.
        """
        refused = self._guard.refusal(url) or _unsendable(headers)
        if refused is not None:
            return Posted(None, Reason.ENDPOINT_FORBIDDEN, refused)
        parts, loop = split(url), asyncio.get_running_loop()
        endpoint, began = (parts.scheme, parts.hostname or "", port_of(parts)), loop.time()
        deadline = began + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                line, answer = await self._answer(endpoint, URL(url, encoded=True), (*_ALWAYS, *headers), body)
            posted = await self._read(line, answer, limit, deadline)
        except TimeoutError:
            words = f"{endpoint[1]} gave no answer within {timeout_s:g} s: answer first, work afterwards"
            posted = Posted(None, Reason.ENDPOINT_TIMEOUT, words)
        except Forbidden as exc:
            posted = Posted(None, Reason.ENDPOINT_FORBIDDEN, str(exc))
        except Unresolved:
            posted = Posted(
                None, Reason.NAME_UNRESOLVED, f"the name {endpoint[1]} has no address: is it spelled right?"
            )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            posted = Posted(None, *self._failed(endpoint, exc))
        return replace(posted, duration_ms=round((loop.time() - began) * 1000))

    async def _answer(
        self, endpoint: Endpoint, url: URL, headers: Headers, body: bytes
    ) -> tuple[Line, aiohttp.ClientResponse]:
        """Return the answer's head, its body unread, and the connection that it came by."""
        line = await self._pool.lend(endpoint)
        while True:
            try:
                return line, await line.session.post(url, data=body, headers=headers, allow_redirects=False)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as exc:
                await self._pool.give_back(line, keep=False)
                if not line.used or isinstance(exc, aiohttp.ClientSSLError):
                    raise
            except BaseException:
                await self._pool.give_back(line, keep=False)
                raise
            line = await self._pool.lend(endpoint, fresh=True)

    async def _read(self, line: Line, answer: aiohttp.ClientResponse, limit: int, deadline: float) -> Posted:
        """Read the body as far as limit and deadline let; the connection of one that was not read whole is closed."""
        body, whole = bytearray(), False
        try:
            with suppress(TimeoutError, aiohttp.ClientError, OSError):
                async with asyncio.timeout_at(deadline):
                    async for chunk in answer.content.iter_chunked(_CHUNK):
                        body += chunk
                        if len(body) > limit:
                            break
                    else:
                        whole = True
        finally:
            if whole:
                answer.release()
            else:
                answer.close()
            await self._pool.give_back(line, keep=whole)
        return Posted(answer.status, None, "", _bounded(answer.headers.items()), bytes(body[:limit]), not whole)

    def _failed(self, endpoint: Endpoint, exc: Exception) -> tuple[Reason, str]:
        host = endpoint[1]
        match exc:
            case aiohttp.ClientConnectorCertificateError():
                why = getattr(exc.certificate_error, "verify_message", "") or "it cannot be verified"
                return Reason.TLS_FAILED, (
                    f"the certificate of {host} is not trusted ({why}): name a private authority in the setting "
                    f"{self._ca_setting}"
                )
            case aiohttp.ClientSSLError():
                return Reason.TLS_FAILED, f"{host}:{endpoint[2]} does not speak TLS 1.2 or 1.3 as we do"
            case aiohttp.ClientConnectorError():
                why = os.strerror(exc.os_error.errno) if exc.os_error.errno else "no address answered"
                return Reason.CONNECTION_FAILED, f"no connection to {host}:{endpoint[2]} ({why}): does it listen there?"
            case aiohttp.ServerDisconnectedError() | OSError():
                return Reason.CONNECTION_FAILED, f"{host}:{endpoint[2]} closed the connection before it answered"
            case _:
                return (
                    Reason.ANSWER_MALFORMED,
                    f"what {host}:{endpoint[2]} answered is no HTTP/1.1, or its head is too large",
                )


def _unsendable(headers: Headers) -> str | None:
    for name, value in headers:
        if not _TOKEN.fullmatch(name) or name.lower() in _CONNECTION:
            return f"{name[:80]!r} cannot be sent: no header's name, or one of the connection"
        if not _VALUE.fullmatch(value):
            return f"the header {name} cannot be sent: printable ASCII on one line, 8000 characters at most"
    return None


def _bounded(headers: Iterable[tuple[str, str]]) -> Headers:
    kept = ((name.lower()[:_MAX_NAME], value[:_MAX_HEADER]) for name, value in headers)
    return tuple(islice((pair for pair in kept if pair[0] not in _HIDDEN), _MAX_HEADERS))
