"""Counters: absolute, batched, and never in a request's way."""

import json

import pytest

from ingress import answers
from ingress.tally import LOGGED_A_SECOND
from schemas.errors import Refused
from schemas.reasons import Reason
from tests.fakes.edge import Edge
from tests.fakes.registry import key, snapshot, source

HEADERS = {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_a"}
PLACE = ("start-1", "src-acme-shop")


@pytest.fixture
def edge() -> Edge:
    return Edge(snapshot([source("shop", auth="none")], keys={"hbk_a": key()}))


async def test_rows_are_absolute_and_only_changed_ones_are_sent(edge: Edge) -> None:
    await edge.post("/api/v1/webhooks/shop", b"1", HEADERS)
    await edge.post("/api/v1/webhooks/shop", b"1", {"X-Tenant-Id": "acme"})
    assert await edge.tally.flush()
    assert edge.sink.rows[PLACE] == {
        "source_id": "src-acme-shop",
        "accepted": 1,
        "refused": {"unauthenticated": 1},
        "handshakes": 0,
        "shed": 0,
        "last_event_at_ms": 1_700_000_000_000,
        "secret_last_used": {"key-k": 1_700_000_000_000},
    }
    assert await edge.tally.flush()
    assert edge.sink.flushes == 1
    await edge.post("/api/v1/webhooks/shop", b"1", HEADERS)
    await edge.tally.flush()
    assert edge.sink.rows[PLACE]["accepted"] == 2


async def test_a_failing_sink_loses_nothing_and_disturbs_nobody(edge: Edge) -> None:
    edge.sink.fault = RuntimeError("database away")
    await edge.post("/api/v1/webhooks/shop", b"1", HEADERS)
    assert not await edge.tally.flush()
    assert (await edge.post("/api/v1/webhooks/shop", b"1", HEADERS)).status == 200
    edge.sink.fault = None
    assert await edge.tally.flush()
    assert edge.sink.rows[PLACE]["accepted"] == 2


async def test_refusals_are_logged_a_bounded_number_a_second(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []

    class Log:
        def info(self, event: str, **_fields: object) -> None:
            logged.append(event)

    monkeypatch.setattr("ingress.tally._log", Log())
    for _ in range(LOGGED_A_SECOND * 3):
        await edge.post("/in/unknown")
    assert logged == ["delivery_refused"] * LOGGED_A_SECOND
    await edge.tally.flush()
    assert logged[-1] == "refusals_not_logged"


async def test_scrapes_count_each_reply_once(edge: Edge) -> None:
    await edge.post("/in/unknown")
    for _ in range(2):
        assert edge.tally.outcomes() == {("refused", "not_found"): 1}


async def test_a_scrape_reads_deliveries_secrets_bytes_and_failed_proofs(edge: Edge) -> None:
    await edge.post("/api/v1/webhooks/shop", b"12345", HEADERS)
    await edge.post("/api/v1/webhooks/shop", b"1", {"X-Tenant-Id": "acme"})
    source_id = PLACE[1]
    assert edge.tally.by_source({source_id}) == {
        (source_id, "accepted"): 1,
        (source_id, "shed"): 0,
        (source_id, "handshake"): 0,
        (source_id, "refused"): 1,
    }
    assert edge.tally.secrets({source_id}) == {(source_id, "key-k"): 1_700_000_000}
    assert (edge.tally.bytes, edge.tally.auth_failures()) == (5, {("unauthenticated",): 1})
    assert edge.tally.by_source(()) == edge.tally.secrets(()) == {}


def test_a_refusal_is_a_problem_document() -> None:
    reply = answers.refused(Refused(Reason.NO_SECRET))
    assert reply.content_type == "application/problem+json"
    assert json.loads(reply.body) == {
        "type": "urn:hookberg:problem:no_secret",
        "title": Reason.NO_SECRET.text,
        "status": 401,
        "detail": Reason.NO_SECRET.text,
        "reason": "no_secret",
    }
