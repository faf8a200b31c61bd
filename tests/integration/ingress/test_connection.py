"""Answers without a task: which requests get them, that they are the same, and that a connection lives as before."""

import asyncio
import inspect
from collections.abc import Callable
from importlib.metadata import version

import pytest
from aiohttp.web_protocol import RequestHandler

from ingress import resolve, routes
from ingress.connection import Connection
from ingress.env import Limits
from ingress.life import OFF_LOOP_BYTES
from schemas.errors import Overloaded
from schemas.reasons import Reason
from tests.fakes.edge import Edge, arrival
from tests.fakes.registry import key, snapshot, source
from tests.integration.ingress.door import served, until

PATH = "/api/v1/webhooks/shop"
HEADERS = {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_a"}
HEAD = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
POST = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{HEAD}".encode()
ONE = POST + b"Content-Length: 2\r\n\r\n{}"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
LARGE = b"x" * (OFF_LOOP_BYTES + 1)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each request that aiohttp answers in a task of its own."""
    seen: list[str] = []
    handled = RequestHandler._handle_request

    def noted(self: RequestHandler, request: object, *given: object) -> object:
        seen.append(request.method)  # type: ignore[attr-defined]
        return handled(self, request, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(RequestHandler, "_handle_request", noted)
    return seen


async def known(edge: Edge) -> Edge:
    """Let the door have resolved the address before."""
    route = routes.find(PATH)
    assert route is not None
    await resolve.find(route, arrival(PATH, headers=HEADERS), edge.env)
    return edge


def shop(auth: str = "none") -> Edge:
    return Edge(snapshot([source("shop", auth=auth)], keys={"hbk_a": key()}), limits=Limits(4 << 20, 5.0, 64 << 10))


async def test_a_small_delivery_of_a_known_address_makes_no_task(tasks: list[str]) -> None:
    edge = shop()
    async with served(edge) as at, at.wire() as wire:
        for sent in (ONE, ONE, CHUNKED, ONE):
            wire.send(sent)
            assert (await wire.answer()).status == 200
    assert tasks == ["POST"]  # the first, by which the address became known
    assert [kept.value for kept in edge.publisher.records] == [b"{}"] * 4
    assert edge.admission.requests == edge.admission.held == 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (POST + b"Content-Length: %d\r\n\r\n" % len(LARGE) + LARGE, 200),
        (ONE.replace(b"HTTP/1.1", b"HTTP/1.0"), 200),
        (ONE.replace(b"Host: x", b"Host: x\r\nConnection: close"), 200),
        (ONE.replace(b"POST", b"PUT"), 405),
        (ONE.replace(PATH.encode(), b"/in/never-made"), 404),
        (ONE.replace(b"acme", b"other"), 404),
        (POST + b"X-Tenant-Id: other\r\nContent-Length: 2\r\n\r\n{}", 400),
        (POST + b"Content-Length: %d\r\n\r\n" % (5 << 20), 413),
    ],
    ids=["large", "http-1.0", "close", "method", "url", "tenant", "tenant-twice", "too-large"],
)
async def test_what_is_not_plain_is_left_to_a_task(tasks: list[str], sent: bytes, status: int) -> None:
    async with served(await known(shop())) as at, at.wire() as wire:
        wire.send(sent)
        assert (await wire.answer()).status == status
    assert len(tasks) == 1


async def test_a_snapshot_that_no_longer_has_the_source_ends_it_at_once(tasks: list[str]) -> None:
    edge = await known(shop())
    async with served(edge) as at, at.wire() as wire:
        wire.send(ONE)
        assert (await wire.answer()).status == 200
        edge.view.now = snapshot([], keys={"hbk_a": key(permissions=())})
        wire.send(ONE)
        assert (await wire.answer()).status == 404
    assert tasks == ["POST"]


@pytest.mark.parametrize("fault", [Overloaded(Reason.BROKER_AWAY, 5), ValueError("a bug")])
async def test_a_fault_is_answered_and_the_connection_goes_on(tasks: list[str], fault: Exception) -> None:
    edge = await known(shop())
    async with served(edge) as at, at.wire() as wire:
        edge.publisher.fault = fault
        wire.send(ONE)
        answer = await wire.answer()
        overloaded = isinstance(fault, Overloaded)
        assert (answer.status, answer.headers.get("retry-after")) == ((503, "5") if overloaded else (500, None))
        assert answer.headers["content-type"] == "application/problem+json"
        edge.publisher.fault = None
        wire.send(ONE)
        assert (await wire.answer()).status == 200
    assert (tasks, edge.admission.requests) == ([], 0)


async def test_what_comes_while_an_answer_is_owed_waits_its_turn() -> None:
    edge = await known(shop())
    gate = edge.publisher.gate = asyncio.Event()
    async with served(edge) as at, at.wire() as wire:
        wire.send(ONE)
        await until(lambda: edge.admission.requests)
        wire.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + ONE[:40])
        wire.send(ONE[40:] + ONE.replace(PATH.encode(), b"/in/never-made") + ONE)
        gate.set()
        assert [(await wire.answer()).status for _ in range(5)] == [200, 200, 200, 404, 200]
    assert len(edge.publisher.records) == 3


async def test_many_at_once_are_answered_in_order_by_whichever_way() -> None:
    edge = await known(shop())
    bodies = [b'{"n":%d}' % number for number in range(200)]
    async with served(edge) as at, at.wire() as wire:
        for body in bodies:
            wire.send(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        ids = [(await wire.answer()).json()["deliveryId"] for _ in bodies]
    assert [kept.value for kept in edge.publisher.records] == bodies
    assert [kept.meta.delivery_id for kept in edge.publisher.records] == ids


async def test_what_follows_a_body_for_which_reading_was_paused_comes_after_it() -> None:
    edge = await known(shop())
    bodies = [b"x" * 900_000, b"{}", b"y" * 400_000, b"[]"] * 3
    async with served(edge) as at, at.wire() as wire:
        wire.send(b"".join(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies))
        ids = [(await wire.answer()).json()["deliveryId"] for _ in bodies]
    assert [kept.value for kept in edge.publisher.records] == bodies
    assert [kept.meta.delivery_id for kept in edge.publisher.records] == ids


async def test_a_connection_that_waits_for_kafka_is_not_idle_and_is_afterwards(tasks: list[str]) -> None:
    edge = await known(shop())
    gate = edge.publisher.gate = asyncio.Event()
    async with served(edge, keepalive_s=0.2) as at, at.wire() as wire:
        wire.send(ONE)
        await asyncio.sleep(0.7)
        gate.set()
        assert (await wire.answer()).status == 200
        assert await wire.ended()
    assert tasks == []


async def test_the_end_of_the_worker_waits_for_an_answer_that_is_owed(tasks: list[str]) -> None:
    edge = await known(shop())
    gate = edge.publisher.gate = asyncio.Event()
    async with served(edge) as at, at.wire() as wire:
        wire.send(ONE)
        await until(lambda: edge.admission.requests)
        at.door.draining = True
        ending = asyncio.create_task(at.runner.cleanup())
        await until(lambda: at.runner.server is not None and all(one._close for one in at.runner.server.connections))
        gate.set()
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await wire.ended()
        await ending
    assert (tasks, len(edge.publisher.records)) == ([], 1)


async def test_heads_that_do_not_end_are_bounded_together() -> None:
    edge = await known(shop())
    edge.env.unfinished.max_bytes = 100_000
    async with served(edge) as at:
        async with at.wire() as one, at.wire() as two, at.wire() as last, at.wire() as other:
            for wire in (one, two):
                wire.send(POST + b"".join(b"X-%d: %b\r\n" % (number, b"x" * 4_000) for number in range(10)))
            await until(lambda: edge.env.unfinished.held > 80_000)
            last.send(POST + b"".join(b"X-%d: %b\r\n" % (number, b"x" * 4_000) for number in range(7)))
            answer = await last.answer()
            assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (429, "5", "close")
            assert await last.ended()
            other.send(ONE)
            assert (await other.answer()).status == 200
        await until(lambda: not edge.env.unfinished.held)


async def test_of_a_refused_upload_only_a_little_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read, received = [0], Connection.data_received

    def counted(self: Connection, data: bytes) -> None:
        read[0] += len(data)
        received(self, data)

    monkeypatch.setattr(Connection, "data_received", counted)
    edge = await known(shop())
    edge.admission.held = edge.admission.max_bytes
    async with served(edge) as at, at.wire() as wire:
        wire.send(POST + b"Content-Length: 4000000\r\n\r\n" + b"x" * 4_000_000)
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (429, "close")
        assert await wire.ended()
    assert 0 < read[0] < 1_500_000  # 64 KiB, and what came at once with the head


async def test_a_connection_that_is_kept_after_a_refusal_reads_on_without_end() -> None:
    edge = await known(shop())
    async with served(edge) as at, at.wire() as wire:
        wire.send(POST.replace(PATH.encode(), b"/in/never-made") + b"Content-Length: 2\r\n\r\n")
        answer = await wire.answer()
        assert (answer.status, answer.headers.get("connection")) == (404, None)
        wire.send(b"{}")
        body = b"x" * 30_000
        for _ in range(6):
            wire.send(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            assert (await wire.answer()).status == 200


async def test_a_sender_that_leaves_before_the_report_is_counted_and_holds_nothing(tasks: list[str]) -> None:
    edge = await known(shop())
    gate = edge.publisher.gate = asyncio.Event()
    async with served(edge) as at:
        async with at.wire() as wire:
            wire.send(ONE)
            await until(lambda: edge.admission.requests)
        gate.set()
        await until(lambda: not edge.admission.requests)
    await edge.tally.flush()
    assert [row["accepted"] for row in edge.sink.rows.values()] == [1]
    assert tasks == []


def test_it_rests_on_this_aiohttp() -> None:
    """Whoever moves to another version reads `RequestHandler` anew: `_waiter` is what wakes its task, and so on."""
    assert version("aiohttp").startswith("3.14.")
    start, received = inspect.getsource(RequestHandler.start), inspect.getsource(RequestHandler.data_received)
    assert "await self._waiter" in start
    assert "self._messages.popleft()" in start
    assert "self._parser.message_consumed()" in start
    assert "self._next_keepalive_close_time = close_time" in start
    assert "self._messages.append((msg, payload))" in received
    assert "waiter.set_result(None)" in received
    resumed = inspect.getsource(RequestHandler.resume_reading)
    assert "self._reading_paused = False" in resumed
    assert 'self.data_received(b"")' in resumed
    assert "self._waiter and not self._waiter.done()" in inspect.getsource(RequestHandler._process_keepalive)
    used: Callable[[str], bool] = RequestHandler.__slots__.__contains__
    assert all(map(used, ("_waiter", "_messages", "_close", "_force_close", "_next_keepalive_close_time")))
    assert issubclass(Connection, RequestHandler)
