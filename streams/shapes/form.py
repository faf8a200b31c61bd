"""A form (application/x-www-form-urlencoded) -> one JSON object of its fields, or the JSON in its field `payload`.

Lives here: fields as they are sent. A name that comes once is a text, one that comes again an array of texts in order;
`a[b]` is a name like any other. GitHub and Slack's interactivity send `payload=` and nothing else.
https://url.spec.whatwg.org/#urlencoded-parsing
"""

import binascii
import re
from typing import Any

from schemas.errors import Poison
from schemas.reasons import Reason
from streams.shapes.text import decoded

MAX_FIELDS = 10_000
PAYLOAD = b"payload"
_PIECE = 64 << 10
_STRAY = re.compile(rb"%(?![0-9A-Fa-f]{2})")
Pairs = list[tuple[bytes, bytes]]


def pairs(body: bytes) -> Pairs:
    """Return names and values in order, percent signs and `+` undone; a name without `=` has an empty value.

    Raises `Poison(not_parseable)` for more than 10,000.
    """
    if body.count(b"&") >= MAX_FIELDS:
        raise Poison(Reason.NOT_PARSEABLE, f"the form has more than {MAX_FIELDS} fields")
    return [
        (_plain(name), _plain(value)) for name, _, value in (part.partition(b"=") for part in body.split(b"&") if part)
    ]


def payload(found: Pairs, how: str | None) -> tuple[bytes, Pairs] | None:
    """Return the text of the field `payload` and the other fields; None where it is a field like any other.

    `how` as `form` of the source's parse setting. Raises `Poison(not_parseable)` where there must be one.
    """
    if how == "fields":
        return None
    texts = [value for name, value in found if name == PAYLOAD]
    if how == "payload":
        if len(texts) != 1:
            raise Poison(Reason.NOT_PARSEABLE, f"the form has {len(texts)} fields named payload, and must have one")
        return texts[0], [pair for pair in found if pair[0] != PAYLOAD]
    if len(found) == 1 and texts and texts[0].lstrip()[:1] in {b"{", b"["}:
        return texts[0], []
    return None


def fields(found: Pairs, declared: str | None = None, forced: str | None = None) -> dict[str, Any]:
    """Return values by name; raise `Poison(not_utf8)`, and for a charset as text.decoded does."""
    out: dict[str, Any] = {}
    again: set[str] = set()
    for raw_name, raw_value in found:
        add(out, again, decoded(raw_name, declared, forced), decoded(raw_value, declared, forced))
    return out


def add(out: dict[str, Any], again: set[str], name: str, value: Any) -> None:  # noqa: ANN401 JSON
    """Put a value under its name; from the second of a name on (`again`) they are an array in order."""
    if name not in out:
        out[name] = value
    elif name in again:
        out[name].append(value)
    else:
        again.add(name)
        out[name] = [out[name], value]


def _plain(part: bytes) -> bytes:
    """Undo `+` and percent signs; a stray percent sign stays. Long texts a piece at a time: memory is bounded."""
    if b"+" in part:
        part = part.replace(b"+", b" ")
    if b"%" not in part:
        return part
    if len(part) <= _PIECE:
        return _unquoted(part)
    out = bytearray()
    at = 0
    while at < len(part):
        piece = part[at : at + _PIECE]
        cut = piece.find(b"%", len(piece) - 2)  # an escape is not cut in two
        if cut > 0 and at + len(piece) < len(part):
            piece = piece[:cut]
        out += _unquoted(piece)
        at += len(piece)
    return bytes(out)


def _unquoted(part: bytes) -> bytes:
    """Undo percent signs as quoted-printable, which is C: urllib's own takes 60 bytes of memory for each."""
    whole = _STRAY.sub(b"%25", part)
    return binascii.a2b_qp(whole.replace(b"=", b"=3D").replace(b"%", b"="))
