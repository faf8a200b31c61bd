"""One webhook from request over batch to a table's commit: its spans are linked, or nothing is added."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.backing.spans import Spans, provider
from schemas.settings.tracing import TraceSettings
from schemas.tracing import MAX_LINKS, OFF, NotTraced, Seen, Tracer, is_sampled, unkept
from schemas.wire.raw import HB_TRACEPARENT, Header, RawRecord
from sinks import traces
from sinks.source import Source, Topic
from sinks.table import commit, state
from streams.emit import Decided
from streams.engine.agent import BatchAgent, Batches
from streams.engine.table import FirstSeenTable
from tests.fakes.edge import Edge
from tests.fakes.registry import key, snapshot, source
from tests.unit.streams.made import Partition as Deciding
from tests.unit.streams.made import source as stage_source
from tests.unit.streams.test_agent import Ledger, Table
from tests.unit.streams.test_ingest import TOPIC
from tests.unit.streams.test_transaction import Producer, transactions

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"00-{TRACE}-{PARENT}-01"
AUTH = {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_a"}


class Traced:
    """A tracer whose spans stay here."""

    def __init__(self, *, ratio: float = 1.0, per_s: float = 100.0) -> None:
        self.memory, self.now = InMemorySpanExporter(), 0.0
        drawn = count(1)
        self.tracer: Tracer = Spans(
            provider("test", self.memory, at_once=True), ratio=ratio, per_s=per_s, monotonic=lambda: self.now,
            random_bytes=lambda size: ((next(drawn) % 20) * (1 << 64) // 20).to_bytes(size, "big"),
        )  # fmt: skip

    def spans(self) -> list[ReadableSpan]:
        return list(self.memory.get_finished_spans())


class HeadedProducer(Producer):
    """Keeps headers too, of those who give them."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.headers: dict[str, list[Header]] = {}
        self.values: dict[str, bytes | None] = {}

    def produce(
        self, topic: str, value: bytes | None, key: bytes, partition: int, on_delivery: Any = None, **more: Any
    ) -> None:
        self.values[topic] = value
        if more:
            self.headers[topic] = more["headers"]
        super().produce(topic, value, key, partition, on_delivery)


class Read:
    """A Kafka message as the writers read it."""

    def __init__(self, headers: list[Header]) -> None:
        self._headers = headers

    def headers(self) -> list[Header] | None:
        return self._headers or None

    def topic(self) -> str:
        return "acme.event.shop"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 3

    def value(self) -> bytes:
        return b"{}"

    def timestamp(self) -> tuple[int, int]:
        return 1, 1


async def posted(tracer: Tracer, headers: Mapping[str, str], body: bytes = b'{"id":"a"}') -> list[Header]:
    edge = Edge(snapshot([source("shop", auth="none")], keys={"hbk_a": key()}))
    edge.env = replace(edge.env, tracer=tracer)
    reply = await edge.post("/api/v1/webhooks/shop", body, AUTH | dict(headers))
    assert reply.status == 200
    return edge.publisher.records[0].headers


async def staged(tracer: Tracer, folder: Path, *headers: list[Header]) -> HeadedProducer:
    table = FirstSeenTable("seen", folder)
    table.open()
    made, _ = transactions(table, headed=tracer.enabled, producer=HeadedProducer)
    deciding = Deciding(replace(stage_source(), id="src-acme-shop"))

    async def agent(batches: Batches) -> AsyncIterator[list[Decided]]:
        async for batch in batches:
            yield deciding.emit(*batch.records)

    rooms: Any = {"transactions": made, "ledger": Ledger(), "table": Table(cast("Any", SimpleNamespace(stands={})))}
    batch_agent = BatchAgent("test", agent, **rooms, tracer=tracer)
    records = (RawRecord(1, n, 1_000, b'{"id":"%d"}' % n, tuple(each)) for n, each in enumerate(headers))
    try:
        await batch_agent.process(TOPIC, 1, tuple(records))
        await made.commit()
    finally:
        assert batch_agent._task is not None
        batch_agent._task.cancel()
        table.close()
    return cast("HeadedProducer", made._producer)


def wrote(tracer: Tracer, headers: list[Header]) -> None:
    made = Source.__new__(Source)
    made.topics, made.positions, made.at_end = {"acme.event.shop": Topic("acme.event.shop", "id", 1)}, {}, set()
    made.traces = Seen() if tracer.enabled else None
    made._take([cast("Any", Read(headers))], [])
    if made.traces is not None:
        result = commit.Committed(state.TableState(snapshot_id=77))
        traces.committed(tracer, ("stream", "acme.shop"), made.traces.take(), tracer.moment(), result)


async def test_request_batch_and_commit_are_linked(tmp_path: Path) -> None:
    traced = Traced()
    raw = await posted(traced.tracer, {"traceparent": CALLER})
    producer = await staged(traced.tracer, tmp_path, raw)
    wrote(traced.tracer, producer.headers["acme.event.shop"])
    request, batch, committed = traced.spans()
    assert [span.name for span in traced.spans()] == ["hookberg.request", "hookberg.batch", "hookberg.commit"]
    assert {f"{span.context.trace_id:032x}" for span in traced.spans() if span.context} == {TRACE}
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    assert [link.context.span_id for link in batch.links] == [request.context.span_id]
    assert [link.context.span_id for link in committed.links] == [batch.context.span_id]
    assert dict(raw)[HB_TRACEPARENT].decode() == f"00-{TRACE}-{request.context.span_id:016x}-01"
    assert request.attributes is not None
    assert request.attributes["hookberg.delivery.id"] == dict(raw)["hb-delivery-id"].decode()
    assert committed.attributes is not None
    assert committed.attributes["hookberg.snapshot"] == 77


async def test_off_adds_nothing_and_carries_what_the_sender_said(tmp_path: Path) -> None:
    with pytest.raises(NotTraced):
        OFF.moment()
    assert HB_TRACEPARENT not in dict(await posted(OFF, {}))
    raw = await posted(OFF, {"traceparent": CALLER})
    assert dict(raw)[HB_TRACEPARENT] == CALLER.encode()
    producer = await staged(OFF, tmp_path, raw)
    assert producer.headers == {}
    wrote(OFF, [(HB_TRACEPARENT, CALLER.encode())])


@pytest.mark.parametrize("sent", [None, CALLER])
async def test_an_event_is_the_same_traced_or_not(tmp_path: Path, sent: str | None) -> None:
    """Its correlation id too: a trace that we began is nothing that the sender said."""
    given = {} if sent is None else {"traceparent": sent}
    values = []
    for name, tracer in {"on": Traced().tracer, "off": OFF}.items():
        (tmp_path / name).mkdir()
        producer = await staged(tracer, tmp_path / name, await posted(tracer, given))
        values.append(json.loads(producer.values["acme.event.shop"] or b""))
    assert values[0] | {"deliveryId": ""} == values[1] | {"deliveryId": ""}
    assert values[0].get("correlationId") == (None if sent is None else TRACE)


async def test_links_are_bounded_and_only_traced_deliveries_have_a_header(tmp_path: Path) -> None:
    traced = Traced()
    kept = [dict(await posted(traced.tracer, {})) for _ in range(3)]
    unkept_one = [(n, v) for n, v in kept[0].items() if n != HB_TRACEPARENT]
    producer = await staged(traced.tracer, tmp_path, list(kept[1].items()), list(kept[2].items()), unkept_one)
    assert len(traced.spans()[-1].links) == 2
    assert list(producer.headers) == ["acme.event.shop"]
    many = [f"00-{TRACE}-{number:016x}-01" for number in range(1, MAX_LINKS + 9)]
    traced.tracer.end(traced.tracer.linked("x", many, 0.0), {})
    assert len(traced.spans()[-1].links) == MAX_LINKS
    assert traced.spans()[-1].dropped_links == 8


def test_who_is_traced_is_the_senders_word_or_the_ratio_within_a_rate() -> None:
    traced = Traced(ratio=0.25, per_s=10)
    ask = traced.tracer.request
    assert ask("r", f"00-{TRACE}-{PARENT}-00", 0.0) is None
    assert sum(ask("r", None, 0.0) is not None for _ in range(20)) == 5
    assert sum(ask("r", CALLER, 0.0) is not None for _ in range(50)) == 5
    traced.now = 0.5
    assert sum(ask("r", CALLER, 0.0) is not None for _ in range(50)) == 5


async def test_what_exceeds_the_rate_is_not_traced_further_on() -> None:
    limited = Traced(per_s=1)
    assert limited.tracer.request("r", CALLER, 0.0) is not None
    raw = await posted(limited.tracer, {"traceparent": CALLER})
    assert dict(raw)[HB_TRACEPARENT].decode() == f"00-{TRACE}-{PARENT}-00"


@pytest.mark.parametrize(
    "text", ["", "00-nonsense", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01"]
)
async def test_what_is_no_context_is_not_carried(text: str) -> None:
    assert HB_TRACEPARENT not in dict(await posted(OFF, {"traceparent": text}))


async def test_a_refusal_is_traced_by_reason_and_without_anything_of_the_request() -> None:
    traced = Traced()
    edge = Edge(snapshot([source("github")]))
    edge.env = replace(edge.env, tracer=traced.tracer)
    headers = {"X-Tenant-Id": "acme", "X-Hub-Signature-256": "sha256=00", "traceparent": CALLER}
    await edge.post("/api/v1/webhooks/github?token=s3cret-in-query", b"secret-body", headers)
    [span] = traced.spans()
    assert span.attributes is not None
    assert span.attributes["http.response.status_code"] == 401
    assert "s3cret-in-query" not in span.to_json()


def test_contexts_are_told_apart_without_reading_them_whole() -> None:
    assert is_sampled(CALLER)
    assert not is_sampled(unkept(CALLER))
    assert not is_sampled("")
    seen = Seen()
    for number in range(1000):
        seen.add(f"00-{TRACE}-{number:016x}-01")
    assert len(seen.take()) == 8 * MAX_LINKS
    assert seen.take() == []


def test_headers_for_the_collector_are_a_secret() -> None:
    given = TraceSettings.model_validate({"otlp_url": "http://collector:4318/", "otlp_headers": "api-key=s3cret"})
    assert given.otlp_url == "http://collector:4318"
    assert "s3cret" not in repr(given)
