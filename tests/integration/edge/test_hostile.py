"""Requests that no honest sender makes, at real workers: each has its decided answer, and harms nobody else."""

import asyncio
import gzip
import json
from collections.abc import Iterator

import pytest

from tests.integration.edge.ground import MIB, Figure, Ground, ground
from tests.integration.ingress.door import Answer, Wire
from tests.integration.ingress.real import TENANT

LIMIT, GRACE_S = 2_000_000, 4
HEAD_LIMIT = 64 << 10
WEBHOOKS = "/api/v1/webhooks/"
END = b"Content-Length: 2\r\n\r\n{}"
TENANT_HEADER = b"X-Tenant-Id: %b\r\n" % TENANT.encode()


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str) -> Iterator[Ground]:
    settings = {"BODY_LIMIT_BYTES": str(LIMIT), "BODY_GRACE_S": str(GRACE_S)}
    with ground(tmp_path_factory.mktemp("edge"), kafka_bootstrap, **settings) as made:
        yield made
        assert made.launched.output.read_text().count("worker_died") == 0


async def ask(at: Ground, request: bytes) -> Answer:
    """Send a request on a connection of its own; return the answer."""
    async with at.wire() as wire:
        wire.send(request)
        return await wire.answer(30.0)


TWO_MEANINGS = {
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "two equal lengths": b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": b"Content-Length: 2, 2\r\n\r\n{}",
    "length and chunked": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a negative length": b"Content-Length: -1\r\n\r\n",
    "a length with a sign": b"Content-Length: +2\r\n\r\n{}",
    "a length with an underscore": b"Content-Length: 1_0\r\n\r\n{}",
    "a length of another script": "Content-Length: \u0662\r\n\r\n{}".encode(),
    "a length beyond 64 bits": b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "chunked not last": b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a space before the colon": b"Content-Length : 2\r\n\r\n{}",
    "a folded header": b"X-A: 1\r\n  2\r\nContent-Length: 2\r\n\r\n{}",
    "a NUL in a header": b"X-A: 1\x002\r\nContent-Length: 2\r\n\r\n{}",
    "a bare line feed in a name": b"X\nA: 1\r\nContent-Length: 2\r\n\r\n{}",
    "one header above 8 KiB": b"X-Long: " + b"x" * 9000 + b"\r\n" + END,
    "129 headers": b"X-Many: 1\r\n" * 129 + END,
}


@pytest.mark.parametrize("rest", TWO_MEANINGS.values(), ids=TWO_MEANINGS)
async def test_what_can_be_read_two_ways_is_400_and_the_end(at: Ground, rest: bytes) -> None:
    async with at.wire() as wire:
        wire.send(at.post() + rest)
        assert (await wire.answer(30.0)).status == 400
        assert await wire.ended(30.0)


async def test_a_request_that_hides_in_another_ones_body_is_never_read(at: Ground) -> None:
    hidden = at.post() + END
    async with at.wire() as wire:
        wire.send(at.post(b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") + hidden)
        assert (await wire.answer()).status == 400
        assert await wire.ended()


PATHS = {
    "%2e%2e": 422,
    "..": 422,
    "shop%00": 422,
    "sh%6fp/../shop": 404,
    "/shop": 404,
    "shop/": 404,
    "shop;a=b": 422,
    "%ff%fe": 422,
    "%": 422,
    "shop%2Fshop": 422,
    "SHOP": 422,
    "shop%0d%0aX-A:%201": 422,
    "generic/..": 404,
    "generic/%2e%2e%2f": 404,
    "x" * 300: 422,
    "": 404,
}


@pytest.mark.parametrize(("path", "status"), PATHS.items(), ids=[repr(path[:20]) for path in PATHS])
async def test_paths_mean_what_is_written_and_nothing_else(at: Ground, path: str, status: int) -> None:
    answer = await ask(at, at.post(TENANT_HEADER + b"Connection: close\r\n", WEBHOOKS + path) + END)
    assert answer.status == status


@pytest.mark.parametrize(
    "change",
    [
        lambda path: "/" + path,
        lambda path: path.replace("/in/", "//in//"),
        lambda path: path.replace("/in/", "/in/../in/"),
        lambda path: path.replace("/in/", "/%69n/"),
        lambda path: path + "/",
        lambda path: path + "%00",
        lambda path: path + "%20",
        lambda path: "http://x" + path,
        lambda path: path.upper(),
    ],
    ids=["//", "//in//", "..", "%69", "slash", "%00", "%20", "absolute", "upper case"],
)
async def test_a_secret_url_is_taken_to_the_letter(at: Ground, change: object) -> None:
    assert callable(change)
    answer = await ask(at, at.post(b"Connection: close\r\n", change(at.path)) + END)
    assert answer.status == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?" + "a=1&" * 1_000, 200),
        ("?" + "x" * 7_000, 200),
        ("?" + "x" * 9_000, 400),
        ("?a=%00&b=%ff&c=%zz", 200),
        ("??&&==", 200),
    ],
    ids=["1,000 parameters", "7 KB", "9 KB", "odd escapes", "only marks"],
)
async def test_a_query_of_a_secret_url_does_no_harm(at: Ground, query: str, status: int) -> None:
    answer = await ask(at, at.post(b"Connection: close\r\n", at.path + query) + END)
    assert answer.status == status


@pytest.mark.parametrize(
    "line",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"\x00" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["TLS", "no path", "HTTP/9.9", "NULs", "HTTP/2"],
)
async def test_what_is_no_http_1_is_400_and_the_end(at: Ground, line: bytes) -> None:
    async with at.wire() as wire:
        wire.send(line)
        assert (await wire.answer(30.0)).status == 400
        assert await wire.ended()


async def test_methods_other_than_post_are_405(at: Ground) -> None:
    for method in (b"PUT", b"DELETE", b"PATCH", b"TRACE", b"GET"):
        answer = await ask(at, at.post(b"Connection: close\r\n").replace(b"POST", method, 1) + b"\r\n")
        assert answer.status == 405


async def test_headers_of_a_megabyte_are_431_and_the_end(at: Ground) -> None:
    bomb = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 8_000) for number in range(100))
    async with at.wire() as wire:
        wire.send(at.post(bomb) + END)
        assert (await wire.answer(30.0)).status == 431
        assert await wire.ended()


async def test_a_head_that_never_ends_is_431_long_before_it_is_large(at: Ground) -> None:
    async with at.wire() as wire:
        wire.send(at.post())
        line, sent = b"X-A: %b\r\n" % (b"x" * 1_000), 0
        while not wire.reader._buffer and sent < 10 * HEAD_LIMIT:  # type: ignore[attr-defined]
            wire.send(line)
            sent += len(line)
            await asyncio.sleep(0.001)
        assert (await wire.answer(30.0)).status == 431
        assert sent < 5 * HEAD_LIMIT


async def test_a_head_below_the_bound_is_taken(at: Ground) -> None:
    heavy = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 8_000) for number in range(7))
    answer = await ask(at, at.post(heavy) + END)
    assert answer.status == 200


async def test_duplicate_and_non_ascii_headers_are_kept_not_merged(at: Ground) -> None:
    odd = b"X-A: 1\r\nX-A: 2\r\nx-a: \xe9\xff\r\nX-Hub-Signature-256: \xe2\x98\x95\r\n"
    answer = await ask(at, at.post(odd) + END)
    assert answer.status == 200


async def test_a_body_longer_than_it_says_is_400_and_the_end(at: Ground) -> None:
    async with at.wire() as wire:
        wire.send(at.post() + b"Content-Length: 2\r\n\r\n{}{}{}{}\r\n\r\n")
        assert (await wire.answer()).status == 400
        assert await wire.ended()


async def test_a_body_shorter_than_it_says_is_not_stored(at: Ground) -> None:
    before = at.acknowledged()
    async with at.wire() as wire:
        wire.send(at.post() + b"Content-Length: 100\r\n\r\n{}")
        wire.writer.write_eof()
        assert (await _status(wire)) in {0, 400, 408}
    assert at.acknowledged() == before


async def test_expect_is_answered_after_admission(at: Ground) -> None:
    async with at.wire() as wire:
        wire.send(at.post(b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"))
        assert (await wire.answer()).status == 100
        wire.send(b"{}")
        assert (await wire.answer()).status == 200
    async with at.wire() as wire:
        wire.send(at.post(b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1)))
        assert (await wire.answer()).status == 413
        assert await wire.ended()
    answer = await ask(at, at.post(b"Expect: a-miracle\r\n") + END)
    assert answer.status == 200


@pytest.mark.parametrize("size", [100, 60_000])
async def test_an_endless_chunked_body_is_413_at_the_limit(at: Ground, size: int) -> None:
    chunk = b"%x\r\n%b\r\n" % (size, b"x" * size) * (60_000 // size)
    async with at.wire() as wire:
        wire.send(at.post(b"Transfer-Encoding: chunked\r\n\r\n"))
        answer = await _flood(wire, chunk, 60 * MIB)
        assert answer.status == 413
        assert await wire.ended(30.0)


@pytest.mark.parametrize(
    "flood", [b"1;" + b"x" * 60_000, b"0\r\n" + b"X-T: 1\r\n" * 7_000], ids=["extension", "trailers"]
)
async def test_an_endless_chunk_head_or_trailer_ends(at: Ground, flood: bytes) -> None:
    before = max(at.peaks().values())
    async with at.wire() as wire:
        wire.send(at.post(b"Transfer-Encoding: chunked\r\n\r\n") + flood[:3])
        answer = await _flood(wire, flood[3:], 100 * MIB)
        assert answer.status in {400, 408, 413, 431}
        assert await wire.ended(30.0)
    assert max(at.peaks().values()) < before + 100


async def test_a_gzip_bomb_is_stored_as_sent_or_refused_without_inflating_it_all(at: Ground, figure: Figure) -> None:
    bomb = gzip.compress(b'{"a":"' + b"x" * (200 * MIB) + b'"}')
    headers = b"Content-Encoding: gzip\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    before = max(at.peaks().values())
    answer = await ask(at, at.post(headers) + bomb)
    assert answer.status == 200
    made, _, path = at.ingress.source({"type": "url"})
    assert made.id != at.source_id
    answer = await ask(at, at.post(headers, path) + bomb)
    assert answer.status in {200, 404}  # a worker may not know the new source yet
    grown = max(at.peaks().values()) - before
    figure("growth by a gzip bomb of 200 MiB", f"{grown} MiB")
    assert grown < 100


async def test_pipelined_requests_are_answered_in_order(at: Ground) -> None:
    async with at.wire() as wire:
        wire.send((at.post() + END + at.post(path="/nowhere") + END) * 50)
        assert [(await wire.answer(30.0)).status for _ in range(100)] == [200, 404] * 50


async def test_a_sender_that_never_reads_its_answers_is_cut_off(at: Ground, figure: Figure) -> None:
    before = max(at.peaks().values())
    flood = (at.post(path="/nowhere") + END) * 500
    async with at.wire() as wire:
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionError):  # noqa: PT012 the end comes somewhere in it
            async with asyncio.timeout(60):
                while True:
                    wire.send(flood)
                    await wire.writer.drain()
                    await asyncio.sleep(0)
    grown = max(at.peaks().values()) - before
    figure("growth by unread answers", f"{grown} MiB")
    assert grown < 100


async def test_honest_senders_are_served_meanwhile_and_after(at: Ground, figure: Figure) -> None:
    nasty = [at.post() + rest for rest in TWO_MEANINGS.values()] + [at.post(path="/" + "%2e" * 2_000) + END]
    with at.honest() as traffic:
        for _ in range(40):
            await asyncio.gather(*(_quietly(at, each) for each in nasty))
        seen = traffic.end()
    figure("honest p50 / p99 under 760 odd requests", f"{seen.ms(0.5)} / {seen.ms(0.99)} ms")
    assert seen.only_accepted(), (seen.statuses, seen.failures)
    assert set(seen.ids) <= at.acknowledged()
    figure("peak of resident memory", f"{max(at.peaks().values())} MiB")


def test_nothing_of_it_is_in_the_log(at: Ground) -> None:
    said = at.launched.output.read_text()
    assert "Traceback" not in said, said[said.index("Traceback") - 500 :][:3000]
    assert at.path.rpartition("/")[2] not in said
    assert len(said) < MIB
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert not [line for line in lines if line.get("level") == "error"]


async def _flood(wire: Wire, piece: bytes, most: int) -> Answer:
    """Send a piece again and again until an answer comes; at most so many bytes."""
    answering = asyncio.create_task(wire.answer(60.0))
    sent = 0
    try:
        while not answering.done() and sent < most:
            wire.send(piece)
            sent += len(piece)
            await asyncio.wait_for(wire.writer.drain(), 60)
            await asyncio.sleep(0)
    except ConnectionError:
        pass
    return await answering


async def _status(wire: Wire) -> int:
    """Return an answer's status, 0 when the connection ends without one."""
    try:
        return (await wire.answer(30.0)).status
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0


async def _quietly(at: Ground, request: bytes) -> None:
    async with at.wire() as wire:
        wire.send(request)
        await _status(wire)
