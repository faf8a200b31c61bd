"""A compressed body -> its bytes, bounded (rule 5: an inflated body is not larger than the limit).

Lives here: gzip and deflate. The signature is over the bytes as sent, so this is the stage's. Memory: at most twice the
limit and one piece. https://www.rfc-editor.org/rfc/rfc9110#name-content-codings
"""

import zlib

from schemas.errors import Poison
from schemas.reasons import Reason

MAX_MEMBERS = 1_000
"""Of a gzip file (RFC 1952 section 2.2): each costs more than it says."""
_PIECE, _STEP = 64 << 10, 1 << 20
"""Bytes read and made at a time: what bounds the memory beside the result."""
_GZIP, _ZLIB, _RAW = 31, 15, -15
_MAGIC = b"\x1f\x8b"
_CODINGS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
_ZLIB_METHOD, _CHECK = 8, 31


def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """Return a body without its content coding; `identity` changes nothing.

    Raises `Poison(unsupported_content_type)` for another coding or several, `too_large` beyond `limit` bytes,
    `not_parseable` for a stream that is cut off, damaged or followed by anything.
    """
    name = coding.strip().lower()
    if name in {"", "identity"}:
        return body
    window = _CODINGS.get(name)
    if window is None:
        raise Poison(
            Reason.UNSUPPORTED_CONTENT_TYPE, f"the content coding {coding[:40]!r} is not gzip, deflate or identity"
        )
    if window == _ZLIB and not _is_zlib(body):
        window = _RAW  # what browsers and some senders have always meant by deflate
    try:
        return _inflated(body, window, limit, name)
    except zlib.error as exc:
        raise Poison(Reason.NOT_PARSEABLE, f"the body is not {name}: {exc}"[:300]) from None


def _inflated(body: bytes, window: int, limit: int, name: str) -> bytes:
    view, at, out = memoryview(body), 0, bytearray()
    for _ in range(MAX_MEMBERS):
        member = zlib.decompressobj(window)
        while not member.eof:
            piece = view[at : at + _PIECE]
            made = member.decompress(piece, min(_STEP, limit + 1 - len(out)))
            if not piece and not made and not member.eof:
                raise Poison(Reason.NOT_PARSEABLE, f"the {name} body is cut off after {len(out)} inflated bytes")
            out += made
            if len(out) > limit:
                raise Poison(Reason.TOO_LARGE, f"the {name} body inflates to more than {limit} bytes")
            at += len(piece) - len(member.unused_data) - len(member.unconsumed_tail)
        if at == len(body):
            return bytes(out)
        if window != _GZIP or view[at : at + 2] != _MAGIC:
            break
    else:
        raise Poison(Reason.NOT_PARSEABLE, f"the gzip body has more than {MAX_MEMBERS} members")
    raise Poison(Reason.NOT_PARSEABLE, f"{len(body) - at} bytes follow the {name} stream")


def _is_zlib(body: bytes) -> bool:
    """Tell a zlib header (RFC 1950 section 2.2) from a raw deflate stream."""
    return len(body) > 1 and body[0] & 15 == _ZLIB_METHOD and int.from_bytes(body[:2], "big") % _CHECK == 0
