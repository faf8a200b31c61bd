"""Messages to endpoints, over real sockets: what is sent, what of an answer is kept, how connections are kept."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.backing.egress import HttpEgress, Keeping, Posted
from schemas.reasons import Reason
from schemas.settings.notify import DeliverySettings, EndpointSettings
from tests.house.certificates import DAY, Held, authority, issued
from tests.integration.backing.receiver import OK, Receiver, egress, hanging, receiving, saying

LIMIT = 4096
SECRET_PATH = "/services/T0000/B0000/very-secret?token=hidden"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def out() -> AsyncIterator[HttpEgress]:
    made = egress()
    yield made
    await made.close()


async def post(out: HttpEgress, receiver: Receiver, path: str = SECRET_PATH, timeout_s: float = 5.0) -> Posted:
    url = f"http://127.0.0.1:{receiver.port}{path}"
    headers = (("Content-Type", "application/json"), ("X-Own", "1"))
    return await out.post(url, headers=headers, body=b'{"a":1}', timeout_s=timeout_s, limit_bytes=LIMIT)


async def test_sends_exactly_what_it_was_given_and_tells_nothing_of_us(out: HttpEgress, receiver: Receiver) -> None:
    got = await post(out, receiver, "/a%2Fb/%7e?x=%20&y=a+b")
    assert (got.status, got.reason, got.body, got.cut) == (200, None, b"ok", False)
    [(head, body)] = receiver.requests
    line, *fields = head.decode().rstrip().split("\r\n")
    assert line == "POST /a%2Fb/%7e?x=%20&y=a+b HTTP/1.1"
    assert body == b'{"a":1}'
    assert sorted(fields) == [
        "Accept-Encoding: identity", "Accept: */*", "Content-Length: 7", "Content-Type: application/json",
        f"Host: 127.0.0.1:{receiver.port}", "X-Own: 1",
    ]  # fmt: skip  # a User-Agent is the message's own


async def test_a_connection_is_kept_for_the_next_message(out: HttpEgress, receiver: Receiver) -> None:
    for _ in range(5):
        assert (await post(out, receiver)).status == 200
    assert (receiver.connections, len(receiver.requests), out.pool.open) == (1, 5, 1)


async def test_messages_at_the_same_time_have_a_connection_each(out: HttpEgress, receiver: Receiver) -> None:
    await asyncio.gather(*(post(out, receiver) for _ in range(4)))
    assert (receiver.connections, out.pool.open) == (4, 4)


async def test_kept_connections_are_bounded_and_the_oldest_goes(receiver: Receiver) -> None:
    out = egress(keeping=Keeping(max_idle=2))
    await asyncio.gather(*(post(out, receiver) for _ in range(6)))
    assert out.pool.open == 2
    await out.close()
    assert out.pool.open == 0


async def test_an_idle_connection_is_closed(receiver: Receiver) -> None:
    out = egress(keeping=Keeping(idle_s=0.05))
    await post(out, receiver)
    async with asyncio.timeout(5):
        while receiver.ended == 0:
            await asyncio.sleep(0.01)
    await out.close()


async def test_a_connection_that_the_endpoint_closed_meanwhile_is_followed_by_a_fresh_one(
    out: HttpEgress, receiver: Receiver
) -> None:
    """The message is sent again at once: no retry in a minute for what every server does."""
    assert (await post(out, receiver)).status == 200
    told = 0

    async def closes_once(writer: asyncio.StreamWriter) -> None:
        nonlocal told
        told += 1
        await saying(b"" if told == 1 else OK, close=told == 1)(writer)

    receiver.say = closes_once
    assert (await post(out, receiver)).status == 200
    assert (receiver.connections, told) == (2, 2)


async def test_a_fresh_connection_that_is_closed_is_not_tried_again(out: HttpEgress, receiver: Receiver) -> None:
    receiver.say = saying(close=True)
    got = await post(out, receiver)
    assert (got.status, got.reason) == (None, Reason.CONNECTION_FAILED)
    assert receiver.connections == 1


async def test_follows_no_redirect(out: HttpEgress, receiver: Receiver) -> None:
    async with receiving() as other:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{other.port}/\r\nContent-Length: 0\r\n\r\n"
        for head in (moved, moved.replace("307", "302"), moved.replace(f"127.0.0.1:{other.port}", "169.254.169.254")):
            receiver.say = saying(head.encode())
            got = await post(out, receiver)
            assert got.status in {302, 307}
            assert dict(got.headers)["location"].startswith("http://")
        assert other.connections == 0


async def test_keeps_of_a_long_answer_what_fits_and_closes_the_connection(out: HttpEgress, receiver: Receiver) -> None:
    receiver.say = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n", *[b"x" * 65_536] * 700)
    got = await post(out, receiver)
    assert (got.status, len(got.body), got.cut) == (200, LIMIT, True)
    assert out.pool.open == 0


@pytest.mark.parametrize("ending", ["no end", "no rest", "torn chunks"])
async def test_a_status_counts_though_its_body_has_no_end(out: HttpEgress, receiver: Receiver, ending: str) -> None:
    """The receiver has answered: another attempt would only tell it twice."""
    head = b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n"
    if ending == "no end":
        receiver.say = saying(head, *[b"1\r\nx\r\n"] * 1000, pause_s=0.02)
    elif ending == "no rest":
        receiver.say = saying(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\nx", close=True)
    else:
        receiver.say = saying(head, b"zz\r\n", pause_s=0.1, close=True)
    got = await post(out, receiver, timeout_s=0.3)
    assert (got.status, got.cut, out.pool.open) == (202, True, 0)
    assert got.duration_ms < 2000


TRICKLED = [b"X-Pad: 1\r\n"] * 1000


@pytest.mark.parametrize("pieces", [[], [b"HTTP/1.1 200 OK\r\n", *TRICKLED], [b"HTTP/1.1 200 ", *[b"O"] * 1000]])
async def test_the_deadline_holds_however_an_answer_dawdles(
    out: HttpEgress, receiver: Receiver, pieces: list[bytes]
) -> None:
    receiver.say = saying(*pieces, pause_s=0.05) if pieces else hanging
    got = await post(out, receiver, timeout_s=0.3)
    assert (got.status, got.reason) == (None, Reason.ENDPOINT_TIMEOUT)
    assert got.duration_ms < 2000
    assert "within 0.3 s" in got.detail


async def test_the_deadline_holds_while_a_name_is_looked_up() -> None:
    async def never(_host: str, _port: int) -> tuple[str, ...]:
        await asyncio.Event().wait()
        return ()

    out = egress(resolve=never)
    got = await out.post("https://slow.example/", headers=(), body=b"", timeout_s=0.1, limit_bytes=1)
    assert got.reason is Reason.ENDPOINT_TIMEOUT
    await out.close()


@pytest.mark.parametrize(
    "answer",
    [b"\x00\xff babble\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
     b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"],
    ids=["babble", "status", "long head line", "many head lines", "length"],
)  # fmt: skip
async def test_an_answer_that_is_no_http_is_told(out: HttpEgress, receiver: Receiver, answer: bytes) -> None:
    receiver.say = saying(answer)
    got = await post(out, receiver)
    assert (got.status, got.reason) == (None, Reason.ANSWER_MALFORMED)
    assert out.pool.open == 0


async def test_inflates_nothing(out: HttpEgress, receiver: Receiver) -> None:
    bomb = gzip.compress(b"0" * 3_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    receiver.say = saying(head.encode() + bomb)
    got = await post(out, receiver)
    assert got.body == bomb[:LIMIT]


async def test_no_cookie_is_sent_back(receiver: Receiver) -> None:
    async def names(_host: str, _port: int) -> tuple[str, ...]:
        return ("127.0.0.1",)

    out = egress(resolve=names)
    receiver.say = saying(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")
    for _ in range(2):
        url = f"http://hooks.example:{receiver.port}/"  # jars take no cookie of a bare address
        assert (await out.post(url, headers=(), body=b"", timeout_s=5, limit_bytes=9)).status == 200
    await out.close()
    assert receiver.connections == 1
    assert b"ookie" not in receiver.requests[1][0]


async def test_headers_of_an_answer_are_bounded_and_its_cookies_left_out(out: HttpEgress, receiver: Receiver) -> None:
    more = b"".join(b"X-%d: %s\r\n" % (index, b"v" * 3000) for index in range(80))
    receiver.say = saying(b"HTTP/1.1 204 No\r\nSet-Cookie: a=b\r\nRetry-After: 7\r\n" + more + b"\r\n")
    got = await post(out, receiver)
    assert len(got.headers) == 50
    assert got.headers[0] == ("retry-after", "7")
    assert max(len(value) for _, value in got.headers) == 1000


@pytest.mark.parametrize(
    "header",
    [("X-A", "1\r\nX-B: 2"), ("X-A", "1\n2"), ("X-A", "\x00"), ("X-A", "é"), ("X A", "1"), ("X-A:", "1"), ("", "1"),
     ("X\r\nY", "1"), ("Host", "other.example"), ("Content-Length", "0"), ("Transfer-Encoding", "chunked"),
     ("connection", "close"), ("X-A", "1" * 9000)],
)  # fmt: skip
async def test_a_header_that_would_be_two_is_not_sent(
    out: HttpEgress, receiver: Receiver, header: tuple[str, str]
) -> None:
    url = f"http://127.0.0.1:{receiver.port}/"
    got = await out.post(url, headers=(header,), body=b"", timeout_s=5, limit_bytes=1)
    assert (got.status, got.reason) == (None, Reason.ENDPOINT_FORBIDDEN)
    assert receiver.connections == 0


async def test_nobody_who_listens_is_told_without_the_urls_secrets(out: HttpEgress) -> None:
    async with receiving() as gone:
        pass
    got = await post(out, gone)
    assert (got.status, got.reason) == (None, Reason.CONNECTION_FAILED)
    assert "refused" in got.detail
    assert "secret" not in got.detail
    assert "hidden" not in repr(got)


def served(folder: Path, held: Held) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*held.write(folder, "endpoint"))
    return tls


async def test_a_certificate_is_checked_against_the_urls_name(tmp_path: Path) -> None:
    """By trust, name and time; SNI and Host are the URL's name, whatever the address."""
    root = authority("Private Root")
    good = {"dns": ["hooks.test"], "server": True}
    cases = {
        "right": (issued(root, "hooks.test", dns=["hooks.test"], server=True), "hooks.test", None),
        "other name": (issued(root, "hooks.test", dns=["hooks.test"], server=True), "other.test", "hostname mismatch"),
        "expired": (issued(root, "x", begins=-3 * DAY, ends=-DAY, **good), "hooks.test", "expired"),  # type: ignore[arg-type]
        "unknown": (issued(authority("Stranger"), "x", **good), "hooks.test", "unable to get local issuer"),  # type: ignore[arg-type]
        "self-signed": (authority("hooks.test"), "hooks.test", "self-signed"),
    }
    (tmp_path / "ca.pem").write_text(root.pem)

    async def names(_host: str, _port: int) -> tuple[str, ...]:
        return ("127.0.0.1",)

    trusting = HttpEgress.for_webhooks(EndpointSettings(), DeliverySettings(notify_ca_file=tmp_path / "ca.pem"))
    for name, (held, host, fault) in cases.items():
        out = egress(resolve=names, tls=trusting._tls)
        tls = served(tmp_path, held)
        asked: list[str | None] = []
        tls.sni_callback = lambda _socket, server_name, _context, asked=asked: asked.append(server_name)
        async with receiving(tls=tls) as receiver:
            url = f"https://{host}:{receiver.port}/hook"
            got = await out.post(url, headers=(), body=b"{}", timeout_s=5, limit_bytes=9)
            assert asked == [host], name
            if fault is None:
                assert got.status == 200
                assert f"host: {host}:{receiver.port}".encode() in receiver.requests[0][0].lower()
            else:
                assert (got.status, got.reason) == (None, Reason.TLS_FAILED), name
                assert fault in got.detail.lower()
                assert "notify_ca_file" in got.detail
                assert receiver.requests == []
            await out.close()


async def test_an_endpoint_that_speaks_no_tls_is_told(out: HttpEgress) -> None:
    def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        got = await out.post(url, headers=(), body=b"", timeout_s=5, limit_bytes=9)
    assert (got.status, got.reason) == (None, Reason.TLS_FAILED)
    assert "does not speak TLS" in got.detail
