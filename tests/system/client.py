"""A stranger's view of a running Hookberg: its URLs, its data folder, its REST API by plain HTTP.

Lives here: HTTP and waiting. Not here: anything of ours (tests/system/test_black_box.py holds that), tables (lake.py).
"""

import http.client
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

TIMEOUT_S = 30.0
POLL_S = 0.1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str | None:
        """The stable reason of a problem answer."""
        assert self.headers.get("content-type", "").startswith("application/problem+json"), self
        found = self.json().get("reason")
        assert found is None or isinstance(found, str)
        return found


def request(
    base: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """Send one request on a connection of its own; OSError or HTTPException when there is no answer."""
    to = urlsplit(base)
    assert to.hostname is not None
    connection = http.client.HTTPConnection(to.hostname, to.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, found, answer.read())
    finally:
        connection.close()


def eventually(what: str, probe: Callable[[], T | None], timeout_s: float = 60.0) -> T:
    """Return the first answer of `probe` that is neither None nor False; fail with `what` after the deadline."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while True:
        try:
            found = probe()
        except (OSError, http.client.HTTPException) as exc:
            found, last = None, exc
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:.0f} s: {what}" + (f" (last: {last!r})" if last else ""))
        time.sleep(POLL_S)


@dataclass(frozen=True)
class Server:
    """A running `hookberg up`: API door, ingest door, data folder; `tenants` made so far, `broken` ones on purpose."""

    api: str
    ingest: str
    data_dir: Path
    tenants: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    @property
    def admin_key(self) -> str:
        return (self.data_dir / "admin.key").read_text("utf-8").strip()

    @property
    def state(self) -> dict[str, Any]:
        """Return the present `up.json`."""
        found: dict[str, Any] = json.loads((self.data_dir / "up.json").read_text("utf-8"))
        return found

    @property
    def bootstrap(self) -> str:
        """Return Kafka's bootstrap servers."""
        return str(self.state["kafkaBootstrapServers"])

    def admin(self, tenant: str | None = None) -> "Caller":
        """Return a caller with the admin key, acting for `tenant` by X-Tenant-Id."""
        return Caller(self, self.admin_key, tenant)

    def new_tenant(self, prefix: str = "t") -> "Caller":
        """Make a tenant of the test's own and return an admin caller for it."""
        tenant = f"{prefix}-{secrets.token_hex(4)}"
        self.admin().call("POST", "/api/v1/tenants", {"id": tenant}, expect=201)
        self.tenants.append(tenant)
        return self.admin(tenant)


@dataclass(frozen=True)
class Caller:
    """One key, acting for one tenant; `key` None sends no credential."""

    server: Server
    key: str | None = field(repr=False)
    tenant: str | None = None

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        out = {"Content-Type": "application/json"}
        if self.key is not None:
            out["Authorization"] = f"Bearer {self.key}"
        if self.tenant is not None:
            out["X-Tenant-Id"] = self.tenant
        return {**out, **(more or {})}

    def send(self, method: str, path: str, value: object = None, more: Mapping[str, str] | None = None) -> Reply:
        """Send JSON to the API door and return whatever comes."""
        body = None if value is None else json.dumps(value).encode()
        return request(self.server.api, method, path, body, self.headers(more))

    def call(self, method: str, path: str, value: object = None, *, expect: int = 200) -> Any:
        """Send JSON to the API door, insist on the status, return the JSON of the answer (None without a body)."""
        reply = self.send(method, path, value)
        assert reply.status == expect, f"{method} {path} -> {reply.status}, not {expect}: {reply.body[:2000]!r}"
        return reply.json() if reply.body else None

    def post_event(
        self, platform: str, body: bytes, more: Mapping[str, str] | None = None, *, door: str | None = None
    ) -> Reply:
        """Post a webhook as this caller to the fast door (or `door`)."""
        return request(door or self.server.ingest, "POST", f"/api/v1/webhooks/{platform}", body, self.headers(more))

    def new_stream(self, name: str, platform: str, table: str, **more: object) -> dict[str, Any]:
        """Make and start a stream over a platform's topic, quick to flush; returns its object."""
        definition = {
            "name": name,
            "topics": [f"{{tenantId}}.webhook.{platform}"],
            "targetTable": table,
            "valueFormat": "JSON",
            "freshnessSeconds": 0.5,
            **more,
        }
        made = self.call("POST", "/api/v1/streams", definition, expect=201)
        self.call("POST", f"/api/v1/streams/{made['id']}/start")
        assert isinstance(made, dict)
        return made

    def wait_state(self, stream: str, state: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait until a stream is in `state` and return its status."""

        def probe() -> dict[str, Any] | None:
            found: dict[str, Any] = self.call("GET", f"/api/v1/streams/{stream}/status")
            assert found["state"] != "failed" or state == "failed", found
            return found if found["state"] == state else None

        return eventually(f"stream {stream} is {state}", probe, timeout_s)
