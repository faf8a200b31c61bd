"""Receipts: where a delivery's record stands, authenticated so that nobody can read other positions by guessing.

`/api/v1/deliveries/{deliveryId}?at={topicId or topic}.{partition}.{offset}&mac={16 hex}`. The API reads it with `check`
and the same key. The MAC is keyed BLAKE2b (RFC 7693), a third of an HMAC's cost for so short a text.
"""

import hashlib
import hmac
from functools import lru_cache

_BYTES = 8
_PARTS = 3
_CONTEXT = b"hookberg receipt 1"
_MAX_DIGITS = 19


def derive(key: bytes) -> bytes:
    """Make the receipt key from another secret of the installation (the vault's), so that neither tells the other."""
    return hmac.digest(key, _CONTEXT, "sha256")


def make(key: bytes, delivery_id: str, topic: str, partition: int, offset: int) -> str:
    """Return a receipt's path and query; topic names and ids hold no character that a URL would quote."""
    at = f"{topic}.{partition}.{offset}"
    return f"/api/v1/deliveries/{delivery_id}?at={at}&mac={_mac(key, delivery_id, at)}"


def check(key: bytes, delivery_id: str, at: str, mac: str) -> tuple[str, int, int] | None:
    """Return (topic id or name, partition, offset) of a genuine receipt, None for any other text."""
    expected = _mac(key, delivery_id, at).encode()
    if not hmac.compare_digest(expected, mac.encode("utf-8", "surrogatepass")):
        return None
    parts = at.rsplit(".", 2)
    if len(parts) != _PARTS or not all(part.isdigit() and len(part) <= _MAX_DIGITS for part in parts[1:]):
        return None
    return parts[0], int(parts[1]), int(parts[2])


def _mac(key: bytes, delivery_id: str, at: str) -> str:
    running = _keyed(key).copy()
    running.update(f"{delivery_id}\n{at}".encode("utf-8", "surrogatepass"))
    return running.hexdigest()


@lru_cache(maxsize=4)
def _keyed(key: bytes) -> "hashlib.blake2b":
    """Return the hash that has taken the key in: half of the work for so short a text."""
    return hashlib.blake2b(digest_size=_BYTES, key=key)
