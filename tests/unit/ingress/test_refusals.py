"""The ring of refused requests: redacted, explained, bounded, flushed off the hot path."""

import asyncio
import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from ingress import refusals
from ingress.refusals import KEPT, MAX_SOURCES, PENDING, PENDING_BYTES, Refusal, Refusals
from schemas.definitions.auth_free import ApiKeyAuth
from schemas.definitions.view import SourceView
from schemas.signing import SignedRequest, sign
from schemas.vendors.github import GITHUB
from tests.fakes.clock import ManualClock
from tests.fakes.edge import Edge
from tests.fakes.registry import RecordingSink, key, snapshot, source

SECRET = b"s3cret-of-github"
BODY = b'{"action":"opened", "n":1}'
PATH = "/api/v1/webhooks/github"


def edge(*more: SourceView) -> Edge:
    own = source("github", secrets=(SECRET,))
    return Edge(snapshot([own, *more], urls={"t0ken": (own.id, "url-1")}), default_tenant="acme")


def signature(body: bytes = BODY, secret: bytes = SECRET) -> dict[str, str]:
    assert GITHUB.auth is not None
    return dict(sign(GITHUB.auth, SignedRequest("POST", "", (), body), [secret], 0))


async def told(given: Edge) -> list[dict[str, Any]]:
    assert await given.refusals.flush()
    return [dict(row["document"], source=row["source_id"], at=row["at_ms"]) for row in given.sink.refusals]


async def test_a_refused_request_is_kept_with_its_time_reason_and_what_to_do() -> None:
    given = edge()
    headers = {"X-GitHub-Event": "push", "Content-Type": "application/json", **signature()}
    assert (await given.post(f"{PATH}?a=1", BODY + b"\n", headers)).status == 401
    assert given.sink.refusals == []  # nothing is sent while a request is answered
    (entry,) = await told(given)
    assert entry["source"] == "src-acme-github"
    assert entry["at"] == given.clock.time_ns() // 1_000_000
    assert (entry["reason"], entry["status"], entry["method"]) == ("signature_mismatch", 401, "POST")
    assert (entry["url"], entry["bodyBytes"]) == (f"{PATH}?a=1", len(BODY) + 1)
    assert "no secret of this source gives this signature" in entry["detail"]
    (cause,) = entry["causes"]
    assert (cause["cause"], cause["certain"]) == ("body_line_ends", True)
    assert dict(entry["headers"])["X-Hub-Signature-256"] == headers["X-Hub-Signature-256"]


async def test_what_is_accepted_unknown_or_overloaded_is_in_no_ring() -> None:
    given = edge()
    assert (await given.post(PATH, BODY, signature())).status == 200
    assert (await given.post("/api/v1/webhooks/slack", BODY)).status == 404
    assert (await given.post("/in/unknown", BODY)).status == 404
    ticket = given.admission.enter(8 << 20)
    assert (await given.post(PATH, BODY, signature())).status == 429
    ticket.leave()
    assert await told(given) == []


@pytest.mark.parametrize(
    ("path", "body", "headers", "reason"),
    [
        (PATH, BODY, {}, "signature_missing"),
        (PATH, BODY, {"X-Hub-Signature-256": "x"}, "signature_malformed"),
        (PATH, b"x" * (2 << 20), {}, "body_too_large"),
    ],
)
async def test_each_refusal_of_a_source_has_its_reason(
    path: str, body: bytes, headers: dict[str, str], reason: str
) -> None:
    given = edge()
    await given.post(path, body, headers)
    (entry,) = await told(given)
    assert entry["reason"] == reason
    assert len(entry["detail"]) > 10


async def test_a_get_and_a_wrong_verify_token_are_kept_too() -> None:
    meta = source("meta", secrets=(b"app-secret", b"verify_token:right"))
    given = edge(meta)
    assert (await given.post(PATH, b"", method="GET")).status == 405
    said = "hub.mode=subscribe&hub.challenge=1&hub.verify_token=wr0ng-token"
    assert (await given.post(f"/api/v1/webhooks/meta?{said}", b"", method="GET")).status == 403
    first, second = await told(given)
    assert (first["reason"], first["detail"]) == ("method_not_allowed", "This method is not allowed here")
    assert (second["status"], second["detail"]) == (403, "the verify token is not one of this source's")
    assert "wr0ng-token" not in second["url"]


async def test_nothing_secret_is_kept() -> None:
    given = edge()
    headers = {
        "Authorization": "Bearer abcdef",
        "Cookie": "session=abcdef",
        "X-Api-Key": "abcdef",
        "X-Odd": f"before {SECRET.decode()} after",
        "X-Pasted": "hbk_abcdefghijkl and whsec_abcdefgh",
        "X-Hub-Signature-256": "sha256=" + "00" * 32,
    }
    await given.post(f"/in/t0ken?token=abcdef&x={SECRET.decode()}&y=2", BODY, headers)
    (entry,) = await told(given)
    text = json.dumps(entry)
    for secret in ("abcdef", SECRET.decode(), "t0ken?", "hbk_a"):
        assert secret not in text
    assert entry["url"] == "/in/url-1?token=***&x=***&y=2"
    assert dict(entry["headers"])["X-Odd"] == "before *** after"


async def test_an_api_key_in_a_header_of_any_name_is_hidden() -> None:
    made = source("shop", secrets=(b"right-key",))
    auth = ApiKeyAuth(type="apiKey", header="X-Shop")
    made = replace(made, definition=made.definition.model_copy(update={"auth": auth}))
    given = edge(made)
    assert (await given.post("/api/v1/webhooks/shop", BODY, {"X-Shop": "another-key"})).status == 401
    (entry,) = await told(given)
    assert entry["headers"] == [["X-Shop", "***"]]


async def test_an_entry_is_bounded_whatever_was_sent() -> None:
    given = edge()
    headers = tuple((f"X-{number:03}-" + "n" * 200, "ü" * 400) for number in range(100))
    await given.post(f"{PATH}?{'q' * 5000}", BODY, headers)
    await given.post(PATH, BODY, (("X-Odd", "\x9f\x00"),))
    long, odd = await told(given)
    assert len(json.dumps(long, ensure_ascii=False)) < 8_000
    assert all(len(name) <= 80 and len(value) <= 300 for name, value in long["headers"])
    assert odd["headers"] == [["X-Odd", "??"]]


async def test_a_large_body_is_kept_by_its_length_only() -> None:
    given = edge()
    body = b"x" * 20_000
    await given.post(PATH, body, signature())
    assert given.refusals.held[1] < 2_000
    (entry,) = await told(given)
    assert (entry["bodyBytes"], entry["causes"]) == (20_000, [])


async def test_only_the_newest_fifty_of_a_source_wait() -> None:
    given = edge()
    for number in range(60):
        await given.post(f"{PATH}?n={number}", BODY)
    assert given.refusals.held[0] == KEPT
    entries = await told(given)
    assert [entry["url"].partition("n=")[2] for entry in entries] == [str(number) for number in range(10, 60)]
    assert sum(bool(entry["causes"]) for entry in entries) == refusals.EXPLAINED_OF_ONE
    assert all(entry["causes"] for entry in entries[-2:])  # the newest are explained
    assert given.refusals.held == (0, 0)


def made(name: str, *, size: int = 0, request: SignedRequest | None = None) -> Refusal:
    headers = (("X", "x" * size),)
    view = source(name, auth="github")
    return Refusal(view, "signature_missing", 401, "send it", "POST", "/p", "", headers, 0, request)


def ring(explain: Any = lambda _source, _request, _now: ()) -> tuple[Refusals, RecordingSink]:
    sink = RecordingSink()
    return Refusals(sink, ManualClock(), bytes, explain), sink


async def test_memory_is_bounded_with_many_sources_and_the_noisy_ones_make_room() -> None:
    given, sink = ring()
    given.note(made("quiet"))
    for number in range(MAX_SOURCES + 50):
        for _ in range(10):
            given.note(made(f"s{number}"))
    assert given.held[0] == PENDING
    await given.flush()
    kept = {row["source_id"] for row in sink.refusals}
    assert len(sink.refusals) == PENDING
    assert len(kept) == MAX_SOURCES
    assert "src-acme-quiet" in kept


async def test_memory_is_bounded_in_bytes() -> None:
    given, sink = ring()
    for number in range(400):
        given.note(made(f"s{number % 20}", size=60_000))
    assert given.held[1] <= PENDING_BYTES
    await given.flush()
    assert len({row["source_id"] for row in sink.refusals}) == 20
    given.note(made("one", size=PENDING_BYTES))
    assert given.held[0] == 1


async def test_few_are_explained_a_flush_whatever_comes() -> None:
    asked: list[str] = []

    def explain(view: SourceView, _request: SignedRequest, _now: float) -> tuple[()]:
        asked.append(view.name)
        return ()

    given, sink = ring(explain)
    request = SignedRequest("POST", "/", (), b"")
    for number in range(300):
        given.note(made(f"s{number % 30}", request=request))
    await given.flush()
    assert len(sink.refusals) == 300
    assert asked == [f"s{number}" for number in range(refusals.EXPLAINED)]


async def test_the_explanation_runs_in_a_thread() -> None:
    threads: list[str] = []

    def explain(_view: SourceView, _request: SignedRequest, _now: float) -> tuple[()]:
        threads.append(threading.current_thread().name)
        return ()

    given, _ = ring(explain)
    given.note(made("s", request=SignedRequest("POST", "/", (), b"")))
    await given.flush()
    assert threads != [threading.main_thread().name]


async def test_a_failing_sink_loses_nothing_inside_the_bound_and_nothing_is_sent_twice() -> None:
    given, sink = ring()
    sink.fault = ConnectionError()
    given.note(made("a"))
    assert not await given.flush()
    given.note(made("b"))
    assert not await given.flush()
    sink.fault = None
    assert await given.flush()
    assert await given.flush()
    assert [row["source_id"] for row in sink.refusals] == ["src-acme-a", "src-acme-b"]
    sink.fault = ConnectionError()
    for turn in range(5):
        for number in range(300):
            given.note(made(f"t{turn}-{number % 250}"))
        assert not await given.flush()
    assert len(given._unsent) == PENDING


async def test_an_explanation_that_fails_disturbs_nothing() -> None:
    def explain(_view: SourceView, _request: SignedRequest, _now: float) -> tuple[()]:
        raise ZeroDivisionError

    given, sink = ring(explain)
    given.note(made("a", request=SignedRequest("POST", "/", (), b"")))
    assert not await given.flush()
    given.note(made("b"))
    assert await given.flush()
    assert [row["source_id"] for row in sink.refusals] == ["src-acme-b"]


async def test_rings_go_to_the_sink_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    given, sink = ring()
    steps: list[str] = []

    async def sleep(seconds: float) -> None:
        steps.append(f"slept {seconds}")
        given.note(made("a"))
        if len(steps) == 5:
            raise asyncio.CancelledError

    async def keep(rows: Any) -> None:
        steps.append(f"sent {len(rows)}")

    monkeypatch.setattr(sink, "keep", keep)
    monkeypatch.setattr("ingress.refusals.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await given.run()
    assert steps == ["slept 1.0", "sent 1", "slept 1.0", "sent 1", "slept 1.0"]


async def test_another_tenants_key_learns_nothing_and_fills_no_ring() -> None:
    own = source("shop", auth="none", secrets=())
    given = Edge(snapshot([own], keys={"hbk_o": key("other")}), default_tenant="acme")
    reply = await given.post("/api/v1/webhooks/shop", BODY, {"Authorization": "Bearer hbk_o", "X-Tenant-Id": "acme"})
    assert reply.status == 404
    assert await told(given) == []
