"""Which Apache Kafka a broker is: by the features that it supports (ApiVersions, KIP-511, KIP-584).

Lives here: the one request, asked before any authentication, and which release a feature level belongs to. No client
library tells it. https://kafka.apache.org/protocol.html#The_Messages_ApiVersions
"""

import socket
import ssl
import struct

_API_VERSIONS, _VERSION, _CORRELATION = 18, 3, 1
_MOST = 1 << 20
_NAME, _SOFTWARE, _RELEASE = "hookberg-doctor", "hookberg", "1"
_METADATA = "metadata.version"
_LEVELS = ((33, "4.5 or newer"), (30, "4.4"), (29, "4.3"), (27, "4.2"), (25, "4.1"), (21, "4.0"), (20, "3.9"),
           (19, "3.8"), (14, "3.7"), (11, "3.6"), (8, "3.5"), (7, "3.4"), (0, "3.3"))  # fmt: skip
"""Levels of metadata.version above these belong to that release (Kafka's MetadataVersion)."""


def release(level: int | None) -> str | None:
    """Return the release that a broker is of, from the highest metadata.version that it supports; None: unknown."""
    if level is None:
        return None
    return next((name for above, name in _LEVELS if level > above), None)


def ask(host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None) -> int | None:
    """Return the highest metadata.version that a broker supports; None when it does not say. Raises OSError."""
    client = _compact(_SOFTWARE) + _compact(_RELEASE) + b"\0"
    named = _NAME.encode()
    head = struct.pack(">hhih", _API_VERSIONS, _VERSION, _CORRELATION, len(named)) + named + b"\0"
    with socket.create_connection((host, port), timeout_s) as plain:
        link = plain if tls is None else tls.wrap_socket(plain, server_hostname=host)
        with link:
            link.sendall(struct.pack(">i", len(head + client)) + head + client)
            (size,) = struct.unpack(">i", _read(link, 4))
            if not 0 < size <= _MOST:
                raise OSError("the answer is none of Kafka's")
            return parse(_read(link, size))


def parse(answer: bytes) -> int | None:
    """Read an ApiVersions answer of version 3: the highest metadata.version among its supported features."""
    at = 4 + 2  # correlation id, error code
    count, at = _varint(answer, at)
    at += 7 * (count - 1) + 4  # each key: three int16 and no tags; throttle time
    tags, at = _varint(answer, at)
    for _ in range(tags):
        tag, at = _varint(answer, at)
        size, at = _varint(answer, at)
        if tag == 0:
            return _features(answer[at : at + size])
        at += size
    return None


def _features(said: bytes) -> int | None:
    count, at = _varint(said, 0)
    for _ in range(count - 1):
        size, at = _varint(said, at)
        name = said[at : at + size - 1].decode("utf-8", "replace")
        at += size - 1
        _least, most = struct.unpack_from(">hh", said, at)
        at += 5
        if name == _METADATA:
            return int(most)
    return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 the continuation bit
            return value, at


def _compact(text: str) -> bytes:
    return bytes([len(text) + 1]) + text.encode()


def _read(link: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = link.recv(size - len(found))
        if not more:
            raise OSError("the broker closed the connection")
        found += more
    return found
