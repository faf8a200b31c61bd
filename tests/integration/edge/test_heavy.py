"""Many and large: uploads past the byte budget, slow senders, thousands of idle connections. Memory stays bounded."""

import asyncio
import hashlib
import hmac
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.house.polling import wait_until
from tests.integration.edge.ground import MIB, Figure, Ground, ground
from tests.integration.ingress.door import Answer

BUDGET = 64 * MIB
UPLOADS = 200
UPLOAD = b'{"n":"' + b"x" * 19_900_000 + b'"}'
BASE_MIB = 250
"""A wide margin over what an idle worker takes (about 110 MiB)."""
PIECE = 256 << 10
IDLE = 10_000
KEEPALIVE_S, GRACE_S = 8, 3
SLOW = 150
HONEST_RATE = 75.0
SECRET = "a secret of the tests"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str) -> Iterator[Ground]:
    settings = {"IN_FLIGHT_BYTES": str(BUDGET), "KEEPALIVE_S": str(KEEPALIVE_S), "BODY_GRACE_S": str(GRACE_S)}
    with ground(tmp_path_factory.mktemp("edge"), kafka_bootstrap, **settings) as made:
        yield made


async def upload(at: Ground, seen: Counter[str], ids: list[str], *, asks: bool) -> None:
    """Send 20 MB and note the answer; `asks` first whether to (Expect: 100-continue)."""
    async with at.wire() as wire:
        expect = b"Expect: 100-continue\r\n" if asks else b""
        wire.send(at.post(expect) + b"Content-Length: %d\r\n\r\n" % len(UPLOAD))
        answering = asyncio.create_task(wire.answer(120.0))
        try:
            if asks:
                answer = await answering
                if answer.status != 100:
                    seen[f"{answer.status} {'retry-after' in answer.headers}"] += 1
                    return
                answering = asyncio.create_task(wire.answer(120.0))
            for start in range(0, len(UPLOAD), PIECE):
                if answering.done():
                    break
                wire.send(UPLOAD[start : start + PIECE])
                await wire.writer.drain()
            answer = await answering
        except (ConnectionError, asyncio.IncompleteReadError):
            answering.cancel()  # the answer may have come before the end that the sending met
            [said] = await asyncio.gather(answering, return_exceptions=True)
            if not isinstance(said, Answer):
                seen["cut off"] += 1
                return
            answer = said
        seen[f"{answer.status} {'retry-after' in answer.headers}"] += 1
        if answer.status == 200:
            ids.append(answer.json()["deliveryId"])


async def test_200_uploads_of_20_mb_stay_inside_the_byte_budget(at: Ground, figure: Figure) -> None:
    before, seen, ids = at.ingress.workers(), Counter[str](), list[str]()
    other, _, path = at.ingress.source({"type": "url"})
    with at.honest(HONEST_RATE) as same, at.honest(HONEST_RATE, path=path) as others:
        await asyncio.gather(*(upload(at, seen, ids, asks=number % 2 == 0) for number in range(UPLOADS)))
        honest = {"of the same source": same.end(), "of another source": others.end()}
    figure("200 uploads", dict(seen))
    figure("peak of resident memory", f"{at.peaks()} MiB, byte budget {BUDGET // MIB} MiB a worker")
    for who, had in honest.items():
        answered = f"{len(had.latencies)} requests, {dict(had.statuses)}"
        figure(f"honest p50 / p99 meanwhile, {who}", f"{had.ms(0.5)} / {had.ms(0.99)} ms, {answered}")
    assert at.ingress.workers() == before
    assert set(seen) <= {"200 False", "429 True", "503 True", "cut off"}, seen
    assert seen["cut off"] <= UPLOADS // 2  # who asks first always learns why
    assert ids
    assert seen["429 True"]
    assert max(at.peaks().values()) < BASE_MIB + 4 * BUDGET // MIB
    sent, beside = honest.values()
    assert set(sent.statuses) <= {"200", "429"}  # a small body waits for the budget like any other
    assert not sent.failures
    assert beside.only_accepted(), (beside.statuses, beside.failures)
    assert (set(ids) | set(sent.ids)) - at.acknowledged() == set()
    assert set(beside.ids) - at.acknowledged(other) == set()


async def test_large_signed_bodies_do_not_hold_up_the_others(at: Ground, figure: Figure) -> None:
    auth = {
        "type": "hmac",
        "secrets": [SECRET],
        "message": "{body}",
        "header": "X-Acme-Signature",
        "container": {"kind": "prefix", "prefix": "sha256="},
        "encoding": "hex",
    }
    _, _, path = at.ingress.source(auth)
    mac = hmac.new(SECRET.encode(), UPLOAD, hashlib.sha256).hexdigest().encode()
    request = at.post(b"X-Acme-Signature: sha256=%b\r\nContent-Length: %d\r\n\r\n" % (mac, len(UPLOAD)), path)
    statuses = Counter[int]()
    with at.honest(20.0) as traffic:
        for _ in range(12):
            async with at.wire() as wire:
                wire.send(request + UPLOAD)
                statuses[(await wire.answer(60.0)).status] += 1
        honest = traffic.end()
    figure("honest p50 / p99 beside signed bodies of 20 MB", f"{honest.ms(0.5)} / {honest.ms(0.99)} ms")
    assert statuses[200]
    assert not honest.failures


async def test_slow_heads_and_bodies_end_in_time(at: Ground, figure: Figure) -> None:
    loop, ends = asyncio.get_running_loop(), Counter[str]()

    async def slow(first: bytes, drip: bytes) -> None:
        async with at.wire() as wire:
            wire.send(first)
            answering = asyncio.create_task(wire.reader.read(64))
            while not answering.done():  # nothing is sent after an answer: it would be lost with the connection
                wire.send(drip)
                await asyncio.wait({answering}, timeout=0.5)
            said = b""
            with suppress(ConnectionError):
                said = await answering
                await wire.reader.read()
            ends[said[9:12].decode() or "closed"] += 1

    kinds = [
        (b"POST /in", b"x"),
        (at.post(), b"X-A: 1\r\n"),
        (b"", b""),
        (at.post(b"Content-Length: 100000\r\n\r\n"), b"x"),
        (at.post(b"Transfer-Encoding: chunked\r\n\r\n"), b"1\r\nx\r\n"),
        (at.post(b"Content-Length: 2\r\n\r\n{") + b"", b""),
    ]
    began = loop.time()
    with at.honest(20.0) as traffic:
        async with asyncio.timeout(90):
            await asyncio.gather(*(slow(*kinds[number % len(kinds)]) for number in range(SLOW)))
        took = loop.time() - began
        honest = traffic.end()
    figure(
        f"{SLOW} slow senders", f"{dict(ends)} after {took:.1f} s (idle limit {KEEPALIVE_S} s, body grace {GRACE_S})"
    )
    figure("honest p50 / p99 meanwhile", f"{honest.ms(0.5)} / {honest.ms(0.99)} ms")
    assert ends == {"closed": SLOW // 2, "408": SLOW // 2}
    assert honest.only_accepted(), (honest.statuses, honest.failures)


def test_thousands_of_idle_connections_are_held_and_then_ended(
    at: Ground, figure: Figure, request: pytest.FixtureRequest
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    request.addfinalizer(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)))
    count = min(IDLE, hard - 1_000)
    if count < IDLE:
        figure("fewer idle connections", f"{count} of {IDLE}: this process may open {hard} files")
    before = at.resident()
    starts = (b"", b"POST /in/x HTTP/1.1\r\nHost: x\r\nX-A: ", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    with at.honest() as traffic, ExitStack() as ends:
        lines = []
        for number in range(count):
            line = ends.enter_context(socket.create_connection(("127.0.0.1", at.port), timeout=30))
            line.sendall(starts[number % len(starts)])
            line.setblocking(False)
            lines.append(line)
        held = at.resident()
        wait_until(lambda: all(_is_over(line) for line in lines[:: max(1, count // 500)]), 90, what="the ends")
        honest = traffic.end()
    figure(f"{count} idle connections", f"resident {before} MiB before, {held} MiB with them, at most of a worker")
    figure("honest p50 / p99 meanwhile", f"{honest.ms(0.5)} / {honest.ms(0.99)} ms")
    assert honest.only_accepted(), (honest.statuses, honest.failures)
    assert max(at.peaks().values()) < BASE_MIB + 4 * BUDGET // MIB


def _is_over(line: socket.socket) -> bool:
    """Read what there is; tell whether the server has ended the connection."""
    try:
        while said := line.recv(4096):
            assert said.startswith(b"HTTP/1.1 200")
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True
