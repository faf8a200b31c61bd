"""Rate limits per key and per source: token buckets, 429 with Retry-After, counted, bounded."""

from dataclasses import replace

import pytest

from ingress import rates
from ingress.rates import Buckets, Rates
from ingress.receive import receive
from schemas.reasons import Reason
from schemas.settings.processes import ApiSettings
from tests.fakes.clock import ManualClock
from tests.fakes.edge import Edge, MemoryBody, arrival
from tests.fakes.registry import key, snapshot, source
from tests.unit.ingress.test_receive import BODY, GITHUB, TENANT, signed

KEYED = TENANT | {"Authorization": "Bearer hbk_a"}


def limited(edge: Edge, **given: float) -> Edge:
    """Give an edge the limits of these settings."""
    settings = ApiSettings(kafka_bootstrap_servers="127.0.0.1:1", registry_url="sqlite://", **given)  # type: ignore[arg-type]
    edge.env = replace(edge.env, rates=Rates.of(settings, edge.clock, edge.metrics))
    return edge


def test_a_quiet_name_gets_its_burst_then_its_rate() -> None:
    clock = ManualClock()
    buckets = Buckets(2.0, 3, clock)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a") == pytest.approx(0.5)
    assert buckets.take("b") == 0
    clock.advance(0.5)
    assert buckets.take("a") == 0
    assert buckets.take("a") == pytest.approx(0.5)
    clock.advance(60)
    assert [buckets.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_asking_takes_nothing() -> None:
    buckets = Buckets(1.0, 1, ManualClock())
    assert [buckets.wait_s("a"), buckets.wait_s("a"), buckets.take("a")] == [0, 0, 0]
    assert buckets.wait_s("a") == pytest.approx(1.0)


def test_what_was_refused_does_not_count() -> None:
    clock = ManualClock()
    buckets = Buckets(1.0, 1, clock)
    buckets.take("a")
    for _ in range(50):
        assert buckets.take("a") > 0
    clock.advance(1.0)
    assert buckets.take("a") == 0


def test_forgets_the_quietest_names_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAX_NAMES", 3)
    buckets = Buckets(0.001, 1, ManualClock())
    for name in "abc":
        buckets.take(name)
    for number in range(1000):
        buckets.take(f"n{number}")
    assert len(buckets._full_at) == 3
    assert buckets.take("n999") > 0


async def test_a_source_past_its_rate_is_429_with_retry_after_and_counted() -> None:
    edge = limited(Edge(snapshot([GITHUB, source("slack")])), source_requests_per_s=0.1, source_burst_requests=2)
    for _ in range(2):
        assert (await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))).status == 200
    reply = await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))
    assert (reply.status, reply.reason) == (429, Reason.RATE_LIMITED_SOURCE)
    assert dict(reply.headers) == {"Retry-After": "10"}
    assert len(edge.publisher.records) == 2
    await edge.tally.flush()
    assert edge.sink.rows["start-1", "src-acme-github"]["refused"] == {"rate_limited_source": 1}
    assert edge.metrics.registry.get_sample_value("hookberg_rate_limited_total", {"limit": "source"}) == 1
    edge.clock.advance(10)
    headers = signed("github", BODY, edge.clock.at_s)
    assert (await edge.post("/api/v1/webhooks/github", BODY, headers)).status == 200


async def test_past_the_rate_the_body_is_not_read() -> None:
    edge = limited(Edge(snapshot([GITHUB])), source_requests_per_s=0.1, source_burst_requests=1)
    assert (await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))).status == 200
    stream = MemoryBody(BODY)
    sent = arrival("/api/v1/webhooks/github", BODY, signed("github", BODY), stream=stream)
    assert (await receive(sent, edge.env)).status == 429
    assert not stream.read


async def test_a_forger_takes_nothing_from_a_sender() -> None:
    edge = limited(Edge(snapshot([GITHUB])), source_requests_per_s=0.1, source_burst_requests=1)
    for _ in range(20):
        reply = await edge.post("/api/v1/webhooks/github", BODY + b" ", signed("github", BODY))
        assert reply.reason is Reason.SIGNATURE_MISMATCH
    assert (await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))).status == 200


async def test_a_key_has_one_bucket_for_all_its_sources() -> None:
    sources = [source("shop", auth="none"), source("crm", auth="none"), GITHUB]
    edge = limited(
        Edge(snapshot(sources, keys={"hbk_a": key(), "hbk_b": key(name="b")})),
        key_requests_per_s=0.5,
        key_burst_requests=2,
    )
    for platform in ("shop", "crm"):
        assert (await edge.post(f"/api/v1/webhooks/{platform}", b"{}", KEYED)).status == 200
    reply = await edge.post("/api/v1/webhooks/shop", b"{}", KEYED)
    assert (reply.status, reply.reason, dict(reply.headers)) == (429, Reason.RATE_LIMITED_KEY, {"Retry-After": "2"})
    other = TENANT | {"Authorization": "Bearer hbk_b"}
    assert (await edge.post("/api/v1/webhooks/shop", b"{}", other)).status == 200
    beside = signed("github", BODY) | {"Authorization": "Bearer hbk_a"}
    assert (await edge.post("/api/v1/webhooks/github", BODY, beside)).status == 200


async def test_without_a_setting_there_is_no_limit() -> None:
    edge = limited(Edge(snapshot([source("shop", auth="none")], keys={"hbk_a": key()})))
    for _ in range(300):
        assert (await edge.post("/api/v1/webhooks/shop", b"{}", KEYED)).status == 200
