"""No secret that was used is in anything that a run printed, answered or stored.

Every secret is used rightly, wrongly and in the wrong place; then all answers, logs, the registry, the audit log, the
OpenAPI document, Kafka's files and the warehouse are searched for it as it is and as it is commonly written.
"""

import base64
import hashlib
import hmac
import json
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest

from tests.system.client import Caller, Reply, Server, eventually, request

pytestmark = pytest.mark.system

KEY_FILES = {"admin.key", "vault.key"}
"""Where the two keys of a local start are kept, readable by their owner alone."""
JSON = {"Content-Type": "application/json"}


@dataclass
class Run:
    """One tenant's run: every answer, and every secret by what it is."""

    caller: Caller
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)

    def secret(self, what: str, text: str = "") -> str:
        """Make a secret that is like no other; characters that encodings change are in it."""
        made = text or f"{secrets.token_urlsafe(12)} +/é&<'{secrets.token_urlsafe(12)}"
        self.secrets[what] = made
        return made

    def call(self, method: str, path: str, body: object = None, more: Mapping[str, str] | None = None) -> Reply:
        reply = self.caller.send(method, f"/api/v1{path}", body, more)
        self.keep(f"{method} {path}", reply)
        return reply

    def once(self, method: str, path: str, body: object, member: str, more: Mapping[str, str] | None = None) -> Any:
        """Make what is shown once: its secret member is noted, the rest of the answer kept like any other."""
        reply = self.caller.send(method, f"/api/v1{path}", body, more)
        assert reply.status in {200, 201}, reply
        shown = reply.json()
        text = str(shown[member])
        self.secrets[f"{member} of {path} {len(self.secrets)}"] = text.rpartition("/in/")[2]
        self.answers.append((f"{method} {path}", json.dumps({**shown, member: ""}).encode() + _head(reply)))
        return shown

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, int]:
        """Send one request to both doors; return the statuses."""
        found = []
        for door in (self.caller.server.ingest, self.caller.server.api):
            reply = request(door, "POST", path, body, {**JSON, **headers})
            self.keep("ingest", reply)
            found.append(reply.status)
        return found[0], found[1]

    def keep(self, what: str, reply: Reply) -> None:
        self.answers.append((what, reply.body + _head(reply)))


def test_no_secret_that_was_used_is_printed_answered_or_stored(server: Server) -> None:
    run = Run(server.new_tenant("quiet"))
    sources = _sources(run)
    _use(run, sources)
    _misuse(run, sources)
    _refused_definitions(run)
    _webhooks(run)
    _keys(run)
    _not_http(run, sources)
    _rotate(run, sources)
    _read_everything(run, sources)
    forms = {what: set(_forms(text)) for what, text in run.secrets.items()}
    found = [f"{what} in {place}" for place, data in _everything(run) for what, kinds in forms.items()
             if any(kind in data for kind in kinds)]  # fmt: skip
    assert not found, "\n".join(sorted(set(found)))


def _sources(run: Run) -> dict[str, dict[str, Any]]:
    """Make a source of every kind that has a secret."""
    standard = base64.b64encode(secrets.token_bytes(24)).decode()
    auths: dict[str, dict[str, Any]] = {
        "github": {"type": "github", "secrets": [run.secret("github")]},
        "slack": {"type": "slack", "secrets": [run.secret("slack")]},
        "standardwebhooks": {"type": "standardwebhooks", "secrets": ["whsec_" + run.secret("standard", standard)]},
        "own": {
            "type": "hmac",
            "header": "X-Acme-Signature",
            "container": {"kind": "prefix", "prefix": "sha256="},
            "secrets": [run.secret("hmac")],
        },
        "token": {"type": "bearer", "secrets": [run.secret("bearer", secrets.token_urlsafe(24))]},
        "basic": {"type": "basic", "username": "acme", "secrets": [run.secret("basic", secrets.token_urlsafe(24))]},
        "header": {"type": "apiKey", "header": "X-Shop", "secrets": [run.secret("header", secrets.token_urlsafe(24))]},
        "query": {"type": "apiKey", "query": "shop", "secrets": [run.secret("query", secrets.token_urlsafe(24))]},
        "hooks": {"type": "url"},
    }
    made = {}
    for number, (platform, auth) in enumerate(auths.items()):
        more = {"Idempotency-Key": f"quiet-{number}-{run.caller.tenant}"}
        made[platform] = run.once("POST", "/sources", {"platform": platform, "auth": auth}, "ingestUrl", more)
    return made


def _path(source: Mapping[str, Any]) -> str:
    return urlsplit(str(source["ingestUrl"])).path


def _signed(  # noqa: PLR0911 one line for each kind
    run: Run, platform: str, body: bytes
) -> dict[str, str]:
    """Return the headers of a delivery that the source takes."""
    text = run.secrets.get({"own": "hmac", "token": "bearer"}.get(platform, platform), "")
    match platform:
        case "github":
            made = hmac.new(text.encode(), body, hashlib.sha256).hexdigest()
            return {"X-Hub-Signature-256": f"sha256={made}", "X-GitHub-Event": "push"}
        case "own":
            return {"X-Acme-Signature": "sha256=" + hmac.new(text.encode(), body, hashlib.sha256).hexdigest()}
        case "slack":
            at = str(int(time.time()))
            made = hmac.new(text.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
            return {"X-Slack-Signature": f"v0={made}", "X-Slack-Request-Timestamp": at}
        case "token":
            return {"Authorization": f"Bearer {text}"}
        case "basic":
            return {"Authorization": "Basic " + base64.b64encode(f"acme:{text}".encode()).decode()}
        case "header":
            return {"X-Shop": text}
        case _:
            return {}


def _use(run: Run, sources: Mapping[str, Mapping[str, Any]]) -> None:
    body = b'{"event":"made"}'
    for platform, source in sources.items():
        if platform == "standardwebhooks":
            continue
        path = _path(source) + (f"?shop={quote(run.secrets['query'])}&n=1" if platform == "query" else "")
        assert run.post(path, body, _signed(run, platform, body)) == (200, 200), platform


def _misuse(run: Run, sources: Mapping[str, Mapping[str, Any]]) -> None:
    """Send each secret where it does not belong, as people do; and from an unknown sender."""
    for platform, source in sources.items():
        body = b'{"event":"wrong"}'
        text = run.secrets.get(
            {"own": "hmac", "token": "bearer", "standardwebhooks": "standard"}.get(platform, platform)
        )
        if text is None:
            continue
        plain = quote(text, safe="")
        for headers in (
            {"Authorization": f"Bearer {plain}x"},
            {"X-Api-Key": plain},
            {"X-Webhook-Token": plain},
            {"Cookie": f"secret={plain}"},
            {"X-Hub-Signature-256": plain},
            {"X-Hub-Signature-256": f"sha256={plain}"},
            {"X-Slack-Signature": f"v0={plain}", "X-Slack-Request-Timestamp": str(int(time.time()))},
            {"X-Acme-Signature": plain},
            {"webhook-signature": f"v1,{plain}", "webhook-id": "m1", "webhook-timestamp": str(int(time.time()))},
        ):
            status = run.post(_path(source) + f"?token={plain}&access_token={plain}", body, headers)
            assert status in {(401, 401), (200, 200), (403, 403), (400, 400)}, (platform, headers, status)
        run.post(f"/api/v1/webhooks/{platform}?secret={plain}", body, {"X-Tenant-Id": "nobody", "X-Secret": plain})


def _refused_definitions(run: Run) -> None:
    """Definitions with a fault beside, around and inside the secret: what is told of it never quotes it."""
    text = run.secret("refused")
    for body in (
        {"platform": "github", "auth": {"type": "github", "secrets": [text], "oops": 1}},
        {"platform": "github", "auth": {"type": "github", "secret": text}},
        {"platform": "github", "auth": {"type": "github", "secrets": text}},
        {"platform": "github", "auth": {"type": "github", "secrets": [{"value": text, "fromEnv": text}]}},
        {"platform": "github", "auth": {"type": "github", "secrets": [{"fromEnv": text}]}},
        {"platform": "github", "auth": {"type": "github", "secrets": [[text]]}},
        {"platform": "github", "auth": {"type": "github", "secrets": [{text: text}]}},
        {"platform": "github", "auth": {"type": "nobody", "secrets": [text]}},
        {"platform": "github", "auth": {"type": "url", "secrets": [text]}},
        {"platform": "github", "auth": {"type": "jwt", "secrets": [text], "algorithms": ["none"]}},
        {"platform": "github", "auth": text},
        {"platform": "github", "auth": {"type": "github", "secrets": [text * 200]}},
        {"platform": "standardwebhooks", "auth": {"type": "standardwebhooks", "secrets": [text, 7]}},
        {"platform": "No Such", "auth": {"type": "github", "secrets": [text]}},
    ):
        assert run.call("POST", "/sources", body).status == 422, body
    assert run.call("PATCH", "/sources/github", {"auth": {"secrets": [text], "x": 1}}, _MERGE).status == 422
    assert run.call("POST", "/sources/github/secrets", {"secret": [text]}).status == 422
    assert run.call("POST", "/sources/github/secrets", {"secrets": text}).status == 422
    broken = request(run.caller.server.api, "POST", "/api/v1/sources", f'{{"a": "{text}'.encode(), run.caller.headers())
    assert broken.status == 400
    run.keep("broken JSON", broken)


def _webhooks(run: Run) -> None:
    """Give outbound webhooks secrets, replace one, and send some in definitions with a fault."""
    config = {"endpoint": "https://receiver.example/in", "secretKey": run.secret("webhook")}
    hook = {"name": "quiet", "eventFilters": [{"eventType": "entityDeleted"}], "webhookConfig": config}
    made = run.call("POST", "/webhooks", hook, {"Idempotency-Key": f"hook-{run.caller.tenant}"}).json()
    path = f"/webhooks/{made['id']}"
    next_one = {"webhookConfig": {"secretKey": run.secret("next of webhook")}}
    assert run.call("PATCH", path, next_one, _MERGE).status == 200
    bad = run.secret("refused of webhook")
    for given in ({"secretKey": [bad]}, {"secretKey": bad, "oops": 1}, {"secretKey": bad * 99}, {bad: 1}, bad):
        assert run.call("PATCH", path, {"webhookConfig": given}, _MERGE).status == 422
    for operation in (
        {"op": "test", "path": "/webhookConfig/secretKey", "value": bad},
        {"op": "replace", "path": "/webhookConfig/secretKey", "value": {"a": bad}},
        {"op": "move", "from": "/webhookConfig/nothing", "path": "/webhookConfig/secretKey", "value": bad},
    ):
        assert run.call("PATCH", path, [operation], _JSON_PATCH).status in {409, 422}
    for shown in (path, f"{path}/versions", "/webhooks"):
        assert run.call("GET", shown).status == 200


_JSON_PATCH = {"Content-Type": "application/json-patch+json"}
_MERGE = {"Content-Type": "application/merge-patch+json"}


def _keys(run: Run) -> None:
    """Use API keys rightly, wrongly, revoked, in the query, for ingestion and where none is wanted."""
    wanted = {"tenantId": run.caller.tenant, "permissions": ["ingestion:write", "sources:read"], "name": "edge"}
    made = run.once("POST", "/keys", wanted, "key", {"Idempotency-Key": f"key-{run.caller.tenant}"})
    key = made["key"]
    run.secret("admin key", run.caller.server.admin_key)
    run.secret("vault key", (run.caller.server.data_dir / "vault.key").read_text("utf-8").strip())
    bearer = {"Authorization": f"Bearer {key}"}
    assert run.post("/api/v1/webhooks/self-registered", b'{"event":"made"}', bearer) == (200, 200)
    assert run.post("/api/v1/webhooks/github", b"{}", {**bearer, "X-Tenant-Id": "nobody"}) == (404, 404)
    for path, headers in (
        ("/sources", bearer),
        ("/streams", bearer),
        (f"/sources?key={key}", bearer),
        (f"/sources?{key}=1", bearer),
        (f"/sources/{key}", bearer),
        (f"/sources?cursor={key}", bearer),
        ("/sources", {"Authorization": f"Basic {key}"}),
        ("/sources", {"Authorization": f"Bearer {key}x"}),
        ("/sources", {**bearer, "X-Tenant-Id": key}),
        ("/sources", {**bearer, "If-Match": key, "Idempotency-Key": key}),
    ):
        reply = request(run.caller.server.api, "GET", f"/api/v1{path}", None, headers)
        if key not in path.partition("?")[0] and "?" + key not in path:
            run.keep(path, reply)
    run.call("DELETE", f"/keys/{made['id']}")
    eventually("the key is revoked", lambda: _status(run, bearer) == 401, 10.0)
    run.post("/api/v1/webhooks/self-registered", b"{}", bearer)


def _status(run: Run, headers: Mapping[str, str]) -> int:
    reply = request(run.caller.server.api, "GET", "/api/v1/sources", None, headers)
    run.keep("with a revoked key", reply)
    return reply.status


def _not_http(run: Run, sources: Mapping[str, Mapping[str, Any]]) -> None:
    """Send what is no HTTP, with a secret in the line that cannot be read."""
    for door in (run.caller.server.ingest, run.caller.server.api):
        to = urlsplit(door)
        for line in (
            f"POST {_path(sources['hooks'])} HTTP/9.9\r\n\r\n",
            f"POST {_path(sources['hooks'])}\x00 HTTP/1.1\r\n\r\n",
            f"GET / HTTP/1.1\r\nAuthorization: Bearer {run.secrets['bearer']}\x01\r\nbad header\r\n\r\n",
            f"{run.secrets['bearer']}\r\n\r\n",
        ):
            with socket.create_connection((to.hostname, to.port), timeout=10) as made:
                made.sendall(line.encode())
                made.shutdown(socket.SHUT_WR)
                while made.recv(65_536):
                    pass


def _rotate(run: Run, sources: Mapping[str, Mapping[str, Any]]) -> None:
    second = run.secret("rotated")
    assert run.call("POST", "/sources/github/secrets", {"secret": second}).status == 201
    old = sources["github"]["secrets"][0]["id"]
    assert run.call("DELETE", f"/sources/github/secrets/{old}").status == 204
    run.once("POST", "/sources/github/urls", {}, "ingestUrl")
    body = b'{"event":"late"}'
    assert run.post(_path(sources["github"]), body + b" ", _signed(run, "github", body)) == (401, 401)


def _read_everything(run: Run, sources: Mapping[str, Mapping[str, Any]]) -> None:
    """Ask for all that is shown, once the rings have been flushed."""
    ring = "/sources/slack/refusals?limit=50"
    eventually("refusals are shown", lambda: len(run.caller.call("GET", f"/api/v1{ring}")["items"]) >= 10, 20.0)
    for platform in sources:
        for path in (f"/sources/{platform}", f"/sources/{platform}/refusals?limit=50"):
            assert run.call("GET", path).status == 200
        text = run.secrets.get(platform, run.secrets["hmac"])
        asked = {
            "url": f"{_path(sources[platform])}?token={quote(text)}",
            "headers": {**_signed(run, platform, b"{}"), "X-Api-Key": quote(text)},
            "body": '{"event":"judged"}',
        }
        assert run.call("POST", f"/sources/{platform}/verify", asked).status == 200
    for path in ("/sources", "/keys", "/audit?limit=200", "/jobs", "/quarantine", "/openapi.json", "/platforms"):
        assert run.call("GET", path).status == 200, path
    for door in (run.caller.server.ingest, run.caller.server.api):
        for path in ("/metrics", "/readyz", "/livez"):
            run.keep(path, request(door, "GET", path))
    run.keep("/docs", request(run.caller.server.api, "GET", "/docs"))


def _head(reply: Reply) -> bytes:
    return "\n".join(f"{name}: {value}" for name, value in reply.headers.items()).encode("utf-8", "surrogateescape")


def _forms(text: str) -> Iterator[bytes]:
    """Yield how a text is commonly written: as it is, in URLs, in JSON, as base64, as hex, in Python's repr."""
    plain = text.encode()
    yield from (plain, plain.hex().encode(), repr(text)[1:-1].encode(), repr(plain)[2:-1].encode())
    yield from (quote(text).encode(), quote(text, safe="").encode(), quote_plus(text).encode())
    yield from (json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode())
    yield from (base64.b64encode(plain).rstrip(b"="), base64.urlsafe_b64encode(plain).rstrip(b"="))
    yield base64.b64encode(b"acme:" + plain).rstrip(b"=")
    yield plain.decode().encode("latin-1")


def _everything(run: Run) -> Iterator[tuple[str, bytes]]:
    """Yield every place and what is in it: answers, all files of the data folder, what `up` printed, the registry."""
    yield from run.answers
    folder = run.caller.server.data_dir
    places: list[Path] = [path for path in folder.rglob("*") if path.is_file() and path.name not in KEY_FILES]
    places += folder.parent.glob(f"{folder.name}.out")
    assert {"registry.db", "up.json"} <= {path.name for path in places}
    assert any(path.parent.name == "logs" for path in places)
    assert any(path.suffix == ".log" and path.parent.name.startswith(f"{run.caller.tenant}.webhook") for path in places)
    for path in places:
        try:
            data = path.read_bytes().rstrip(b"\0")  # Kafka makes its indexes larger than what is in them
        except FileNotFoundError:  # a checkpoint that was replaced meanwhile
            continue
        yield str(path.relative_to(folder.parent)), data
    with sqlite3.connect(f"file:{folder / 'registry.db'}?mode=ro", uri=True) as connection:
        yield "registry dump", "\n".join(connection.iterdump()).encode("utf-8", "surrogateescape")
