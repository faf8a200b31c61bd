"""Two parsers, one meaning: what `whole.py` takes, aiohttp's parser reads the same; what is odd it does not take."""

import asyncio
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpRequestParser, HttpVersion11
from hypothesis import given
from hypothesis import strategies as st

from ingress import headers
from ingress.headers import Pairs
from ingress.whole import MAX_HEAD, WholeReader

NAME = st.sampled_from(
    ["Host", "X-A", "x-a", "Connection", "Content-Type", "X-Sig", "Expect", "Trailer", "Upgrade", "A" * 99]
)
VALUE = st.sampled_from(
    ["x", "y"] * 10
    + ["", "x", "keep-alive", "close", "a: b", 'q"\\', "\xe9", " x", "x ", "\tx", "100-continue", "v" * 200]
)
TARGET = st.sampled_from(
    ["/in/a?b=c"] * 8 + ["/", "/in/a", "/in/a?b=c", "/a%20b#c", "//x/y", "http://h/in/a", "*", "/\xe9", "/a b"]
)
BODY = st.binary(max_size=40)
LENGTH = st.sampled_from(["right"] * 12 + ["short", "long", "twice", "plus", "none", "chunked", "both"])
MUTATION = st.tuples(
    st.integers(0, 10_000), st.sampled_from([b"\r", b"\n", b"\0", b" ", b":", b"\r\n", b"\x7f", b"\x80", b""])
)


@st.composite
def pieces(draw: st.DrawFn) -> bytes:
    """Draw what a socket may give: mostly a request, sometimes with a byte replaced, or with more after it."""
    body = draw(BODY)
    fields = ["Host: x"] + [f"{name}: {value}" for name, value in draw(st.lists(st.tuples(NAME, VALUE), max_size=5))]
    how, size = draw(LENGTH), len(body)
    told: dict[str, list[object]] = {
        "right": [size],
        "short": [max(size - 1, 0)],
        "long": [size + 1],
        "twice": [size, size],
        "plus": [f"+{size}"],
    }
    fields += [f"Content-Length: {each}" for each in told.get(how, [])]
    if how == "both":
        fields.append(f"Content-Length: {size}")
    if how in {"chunked", "both"}:
        fields.append("Transfer-Encoding: chunked")
    line = f"{draw(st.sampled_from(['POST'] * 9 + ['PUT']))} {draw(TARGET)} HTTP/1.{draw(st.sampled_from('1111110'))}"
    made = "\r\n".join([line, *draw(st.permutations(fields))]).encode("latin-1") + b"\r\n\r\n" + body
    for drawn, what in draw(st.sampled_from([0, 0, 1]).flatmap(lambda most: st.lists(MUTATION, max_size=most))):
        at = drawn % len(made)
        made = made[:at] + what + made[at + 1 :]
    return made + draw(st.sampled_from([b""] * 9 + [made, b"POST / HTTP/1.1\r\n", b"\r\n"]))


PLAIN = b"POST /in/a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Give aiohttp's parser the loop that it wants to see."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


def as_aiohttp(piece: bytes, loop: asyncio.AbstractEventLoop) -> tuple[str, str, Pairs, bytes] | None:
    """Read a piece as the door's server does; None unless it is exactly one whole request that keeps the connection."""
    protocol = Mock(spec=BaseProtocol, _reading_paused=False)
    parser = HttpRequestParser(protocol, loop, 2**16, max_line_size=8190, max_field_size=8190, auto_decompress=False)
    try:
        messages, upgraded, _ = parser.feed_data(piece)
    except HttpProcessingError:
        return None
    if len(messages) != 1 or upgraded:
        return None
    message, payload = messages[0]
    headers.read(message.raw_headers)
    if message.method != "POST" or message.version != HttpVersion11 or message.chunked or message.should_close:
        return None
    if not payload.is_eof() or payload.exception() is not None:
        return None
    path, _, query = message.path.partition("?")
    pairs = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in message.raw_headers])
    return path, query, pairs, payload.read_nowait()


@given(st.lists(pieces(), min_size=1, max_size=3))
def test_what_is_taken_is_what_aiohttp_reads(loop: asyncio.AbstractEventLoop, came: list[bytes]) -> None:
    reader = WholeReader()
    for piece in [*came, PLAIN]:
        expected = as_aiohttp(piece, loop)
        taken = reader.read(piece)
        if taken is not None:
            path, query, read, body = taken
            assert (path, query, read.pairs, body) == expected
    assert taken is not None  # whatever came before


@pytest.mark.parametrize(
    "odd",
    [
        PLAIN + PLAIN,
        PLAIN[:-1],
        PLAIN + b"P",
        PLAIN.replace(b"POST", b"PUT"),
        PLAIN.replace(b"/in", b"http://h/in"),
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b"Host: x", b"Host:x"),
        PLAIN.replace(b"Host: x", b"Host:  x"),
        PLAIN.replace(b"Host: x", b"Host: x\r\nhost: y"),
        PLAIN.replace(b"Host: x", b"Host: x\r\nHost: x"),
        PLAIN.replace(b"Host: x", b"Host: x\r\n y"),
        PLAIN.replace(b"Host: x", b"Host: x\r\nConnection: close"),
        PLAIN.replace(b"Host: x", b"Host: x\r\nConnection: upgrade\r\nUpgrade: h2c"),
        PLAIN.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"),
        PLAIN.replace(b"Host: x", b"Host: x\r\nTransfer-Encoding: chunked"),
        PLAIN.replace(b"Length: 2", b"Length: 02"),
        PLAIN.replace(b"Length: 2", b"Length: 2, 2"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"Host: x", b"Host: " + b"x" * MAX_HEAD),
        PLAIN.replace(b"Host: x", b"Host: x "),
        PLAIN.replace(b"Host: x", b"Host: x\t"),
        PLAIN.replace(b"Host: x", b"Never-Read: x"),
        PLAIN.replace(b"Host: x\r\n", b""),
        b"",
    ],
)
def test_what_is_odd_is_left_alone_and_the_next_request_is_taken(loop: asyncio.AbstractEventLoop, odd: bytes) -> None:
    reader = WholeReader()
    as_aiohttp(PLAIN, loop)
    assert reader.read(PLAIN) is not None
    assert reader.read(odd) is None
    path, query, read, body = reader.read(PLAIN) or pytest.fail("not taken")
    assert (path, query, body) == ("/in/a", "b=c", b"{}")
    assert read.pairs == (("Host", "x"), ("Content-Length", "2"))
