"""Many streams at once: a source and a stream of each, made and started over HTTP, and the events for them.

Lives here: one tenant's sources, streams and prepared requests. Not here: what is measured on them (parts.py).
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from tests.benchmarks.load import Request, prepare
from tests.system.client import Caller, Server, eventually

HANDS = 8
"""Calls at once: a person's scripts make many streams in parallel."""
MADE_S = 120.0
_LINES = [{"sku": f"s{n}", "qty": n, "price": 9.5} for n in range(5)]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Farm:
    """A tenant with `names`: of each a source (platform), a stream and a table, all with the defaults."""

    caller: Caller
    names: Sequence[str]

    @property
    def namespace(self) -> str:
        """Return the tables' namespace."""
        return str(self.caller.tenant)

    def start(self) -> None:
        """Ask for all streams to run."""
        _each(lambda name: self.caller.call("POST", f"/api/v1/streams/{name}/start"), self.names)

    def await_running(self, deadline_s: float = MADE_S) -> None:
        """Wait until all streams run."""
        eventually(f"{len(self.names)} streams run", lambda: self.running() == len(self.names), deadline_s)

    def running(self) -> int:
        """Count the streams that run."""
        found = 0
        cursor = ""
        while True:
            page = self.caller.call("GET", f"/api/v1/streams?limit=200{cursor}")
            found += len([one for one in page["items"] if one["state"] == "running"])
            if page["nextCursor"] is None:
                return found
            cursor = f"&cursor={page['nextCursor']}"

    def requests(self, count: int, first: int = 0) -> list[Request]:
        """Prepare `count` events of about 0.45 KB, each table's turn by turn; numbers begin at `first`."""
        headers = self.caller.headers()
        made = []
        for number in range(first, first + count):
            order = {"id": f"o-{number}", "event": "order.made", "amount": number, "lines": _LINES, "note": "x" * 120}
            path = f"/api/v1/webhooks/{self.names[number % len(self.names)]}"
            made.append(prepare(self.caller.server.ingest, path, str(order["id"]), json.dumps(order).encode(), headers))
        return made


def plant(server: Server, count: int, name: str) -> Farm:
    """Make a tenant with `count` sources, each of a platform of its own, and a stream over each, not started."""
    caller = server.new_tenant(name)
    names = [f"{name}-{number:03d}" for number in range(count)]

    def source(platform: str) -> None:
        wanted = {"platform": platform, "auth": {"type": "none"}, "dedupe": {"path": "/id"}}
        _post(caller, "/api/v1/sources", wanted)

    def stream(platform: str) -> None:
        topics, table = [f"{{tenantId}}.webhook.{platform}"], platform.replace("-", "_")
        wanted = {"name": platform, "topics": topics, "targetTable": table, "valueFormat": "JSON"}
        _post(caller, "/api/v1/streams", wanted)

    _each(source, names)
    _each(stream, names)
    return Farm(caller, names)


def _post(caller: Caller, path: str, wanted: object) -> None:
    """Make something; tries again while the server asks for it, as scripts do: a busy broker makes topics slowly."""

    def made() -> bool:
        reply = caller.send("POST", path, wanted)
        assert reply.status in {201, 409, 503}, f"POST {path} -> {reply.status}: {reply.body[:500]!r}"
        return reply.status != 503

    eventually(f"POST {path}", made, MADE_S)


def _each(call: Callable[[str], T], names: Sequence[str]) -> list[T]:
    with ThreadPoolExecutor(HANDS) as hands:
        return list(hands.map(call, names))
