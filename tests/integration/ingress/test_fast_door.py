"""The fast door on a real socket: framing, deadlines, limits and connections, over a fake publisher."""

import asyncio
import json

import pytest

from ingress.env import Limits
from tests.fakes.edge import Edge
from tests.fakes.registry import key, snapshot, source
from tests.integration.ingress.door import served, until

POST = b"POST /api/v1/webhooks/shop HTTP/1.1\r\nHost: x\r\nX-Tenant-Id: acme\r\nAuthorization: Bearer hbk_a\r\n"
ONE = POST + b"Content-Length: 2\r\n\r\n{}"
LIMIT = 300_000


@pytest.fixture
def edge() -> Edge:
    view = snapshot([source("shop", auth="none")], keys={"hbk_a": key()})
    return Edge(view, limits=Limits(LIMIT, 0.3, 64 << 10))


async def test_keeps_a_connection_over_many_deliveries(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        ids = []
        for _ in range(3):
            wire.send(ONE)
            answer = await wire.answer()
            assert answer.status == 200
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["date"].endswith(" GMT")
            assert "connection" not in answer.headers
            ids.append(answer.json()["deliveryId"])
    assert ids == [kept.meta.delivery_id for kept in edge.publisher.records]


async def test_answers_pipelined_requests_in_order(edge: Edge) -> None:
    bodies = [json.dumps({"n": number}).encode() for number in range(20)]
    async with served(edge) as at, at.wire() as wire:
        wire.send(b"".join(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies))
        ids = [(await wire.answer()).json()["deliveryId"] for _ in bodies]
    assert [kept.value for kept in edge.publisher.records] == bodies
    assert [kept.meta.delivery_id for kept in edge.publisher.records] == ids


async def test_ends_an_http_1_0_connection_after_its_answer(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(ONE.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await wire.answer()).status == 200
        assert await wire.ended()


async def test_honours_connection_close(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(ONE.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await wire.ended()


async def test_takes_a_chunked_body(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
        await until(lambda: edge.admission.requests)
        wire.send(b"1\r\n}\r\n0\r\n\r\n")
        assert (await wire.answer()).status == 200
    assert edge.publisher.records[0].value == b"{}"


async def test_keeps_a_compressed_body_as_sent(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(POST + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00")
        assert (await wire.answer()).status == 200
    assert edge.publisher.records[0].value == b"\x1f\x8b\x08\x00"


@pytest.mark.parametrize("head", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"])
async def test_408_and_the_end_for_a_stalled_body(edge: Edge, head: bytes) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(POST + head)
        answer = await wire.answer()
        assert (answer.status, answer.json()["reason"]) == (408, "body_timeout")
        assert await wire.ended()
    assert edge.admission.held == 0


async def test_413_before_the_body(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(POST + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
        answer = await wire.answer()
        assert (answer.status, answer.json()["reason"]) == (413, "body_too_large")
        assert await wire.ended()


async def test_413_while_a_chunked_body_grows(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        chunk = b"%x\r\n%b\r\n" % (200_000, b"x" * 200_000)
        wire.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + chunk)
        assert (await wire.answer()).status == 413
        assert await wire.ended()


async def test_a_body_at_the_limit_is_taken(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(POST + b"Content-Length: %d\r\n\r\n%b" % (LIMIT, b"x" * LIMIT))
        assert (await wire.answer()).status == 200
    assert len(edge.publisher.records[0].value) == LIMIT


async def test_asks_for_the_body_only_once_admitted(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert (await wire.answer()).status == 100
        wire.send(b"{}")
        assert (await wire.answer()).status == 200
    async with served(edge) as at, at.wire() as wire:
        edge.admission.max_requests = 0
        wire.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        answer = await wire.answer()
        assert (answer.status, answer.headers["retry-after"]) == (429, "7")
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"Content-Length: -1\r\n\r\n",
        b"X-Long: " + b"x" * 9000 + b"\r\nContent-Length: 2\r\n\r\n{}",
        b"X-Many: 1\r\n" * 200 + b"Content-Length: 2\r\n\r\n{}",
    ],
    ids=["two lengths", "length and chunked", "negative", "long header", "many headers"],
)
async def test_400_for_a_request_that_means_two_things(
    edge: Edge, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(POST + head)
        assert (await wire.answer()).status == 400
        assert await wire.ended()
    assert edge.publisher.records == []
    assert "hbk_a" not in caplog.text


async def test_a_broken_chunk_is_refused_and_never_stored(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        await until(lambda: edge.admission.requests)
        wire.send(b"zz\r\n")
        assert (await wire.answer()).status in {400, 408}  # the parser reports it too late for the body's reader
        assert await wire.ended()
    assert edge.publisher.records == []


async def test_ends_silent_connections(edge: Edge) -> None:
    async with served(edge, keepalive_s=0.3) as at, at.wire() as wire:
        wire.send(ONE)
        assert (await wire.answer()).status == 200
        assert await wire.ended()


async def test_a_non_ascii_signature_is_a_401(edge: Edge) -> None:
    edge.view.now = snapshot([source("github")])
    async with served(edge) as at, at.wire() as wire:
        wire.send(
            ONE.replace(b"/shop", b"/github").replace(b"Host: x", b"Host: x\r\nX-Hub-Signature-256: sha256=\xe9\xff")
        )
        answer = await wire.answer()
        assert (answer.status, answer.json()["reason"]) == (401, "signature_mismatch")


async def test_a_sender_that_leaves_disturbs_nobody(edge: Edge) -> None:
    edge.publisher.gate = asyncio.Event()
    entered = asyncio.Event()
    edge.publisher.on_publish = entered.set
    async with served(edge) as at:
        async with at.wire() as wire:
            wire.send(ONE)
            await asyncio.wait_for(entered.wait(), 5)
        edge.publisher.gate.set()
        async with at.wire() as wire:
            wire.send(ONE)
            assert (await wire.answer()).status == 200
    assert len(edge.publisher.records) == 2
    assert edge.admission.requests == 0


async def test_says_connection_close_while_draining(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        at.door.draining = True
        wire.send(ONE)
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await wire.ended()


async def test_probes(edge: Edge) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(ONE + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [(await wire.answer()).status for _ in range(3)] == [200, 200, 200]
        edge.publisher.away = "no broker can be reached"
        wire.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await wire.answer()
        assert (answer.status, answer.json()) == (503, {"status": "unready"})
        wire.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hbk_a\r\n\r\n")
        checks = (await wire.answer()).json()["checks"]
        assert checks == {"process": "ok", "broker": "no broker can be reached", "registry": "ok", "clock": "ok"}
        wire.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b'hookberg_deliveries_total{outcome="accepted",reason=""} 1.0' in (await wire.answer()).body
        wire.send(b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert (await wire.answer()).status == 405
        wire.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.answer()).json()["reason"] == "not_found"


@pytest.mark.parametrize(
    "unreadable",
    [
        b"POST /in/TOPSECRET HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST /in/TOPSECRET\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nAuthorization: TOPSECRET\x01\r\n\r\n",
        b"POST /in/TOPSECRET" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_keeps_a_line_that_it_cannot_read_out_of_the_log(
    edge: Edge, unreadable: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(edge) as at, at.wire() as wire:
        wire.send(unreadable)
        assert (await wire.answer()).status == 400
    assert "TOPSECRET" not in caplog.text


async def test_a_sender_that_leaves_in_a_body_is_no_error_in_the_log(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(edge) as at:
        async with at.wire() as wire:
            wire.send(POST + b"Content-Length: 100\r\n\r\n{")
            await until(lambda: edge.admission.requests)
        await until(lambda: not edge.admission.requests)
        async with at.wire() as wire:
            wire.send(ONE)
            assert (await wire.answer()).status == 200
    assert caplog.text == ""
