"""Ask a broker how many brokers its cluster has, with nothing but a socket.

Lives here: one Metadata request. May not live here: a Kafka client (schemas/backing/kafka.py).
Wire format: https://kafka.apache.org/protocol.html#The_Messages_Metadata (version 1, no topics).
"""

import socket
import struct

_METADATA, _VERSION, _CORRELATION = 3, 1, 1
_CLIENT = b"hookberg"
_HEAD = 12


def brokers_seen(port: int, host: str = "127.0.0.1", timeout_s: float = 1.0) -> int:
    """Return how many live brokers the one at `host:port` lists; 0 when it does not answer in time. Blocks."""
    body = struct.pack(">hhih", _METADATA, _VERSION, _CORRELATION, len(_CLIENT)) + _CLIENT + struct.pack(">i", 0)
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = b""
            while len(answer) < _HEAD:
                piece = connection.recv(4096)
                if not piece:
                    return 0
                answer += piece
    except OSError:
        return 0
    _, correlation, count = struct.unpack(">iii", answer[:_HEAD])
    return int(count) if correlation == _CORRELATION and 0 <= count <= 1_000 else 0  # noqa: PLR2004


def any_broker(bootstrap: str, timeout_s: float = 3.0) -> bool:
    """Tell whether any address of a `host:port,…` list answers; a TLS listener counts when it accepts a connection."""
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout_s):
                return True
        except (OSError, ValueError):
            continue
    return False
