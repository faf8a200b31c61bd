"""A JSON text -> its bytes in UTF-8 and its value; or why it has none.

Lives here: RFC 8259 as it is held here, the bound on nesting. Not here: items (streams/split.py).
Refused: NaN and Infinity, a number beyond any double (1e400), a lone surrogate, anything after the value.
"""

from typing import Any

import orjson

from schemas.errors import Poison
from schemas.reasons import Reason
from streams.shapes.text import BOM, utf8

MAX_DEPTH = 100
_SHORT = 4_096
_WRITTEN_DEPTH = 254
"""orjson writes containers nested so deep and no deeper: https://github.com/ijl/orjson#serialize"""


def read(body: bytes, declared: str | None = None, forced: str | None = None) -> tuple[bytes, Any]:
    """Return a JSON text in UTF-8 (the same object where it is) and its value; raise `Poison` with the reason."""
    if forced is not None:
        text, value = _decoded(body, declared, forced)
    else:
        try:
            text, value = body, orjson.loads(body)
        except orjson.JSONDecodeError as exc:
            if declared is None and not body.startswith(BOM):
                raise unreadable(body, exc) from None
            text, value = _decoded(body, declared, None)
    if deeper_than(text, value, MAX_DEPTH):
        raise Poison(Reason.TOO_DEEP, f"the JSON nests deeper than {MAX_DEPTH}")
    return text, value


def _decoded(body: bytes, declared: str | None, forced: str | None) -> tuple[bytes, Any]:
    text = utf8(body, declared, forced)
    try:
        return text, orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise unreadable(text, exc) from None


def unreadable(body: bytes, exc: orjson.JSONDecodeError) -> Poison:
    """Return why a text that orjson refused cannot be read."""
    if not body.strip():
        return Poison(Reason.NOT_PARSEABLE, "the body is empty")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return Poison(Reason.NOT_UTF8, f"the body is not UTF-8 at byte {wrong.start}")
    return Poison(Reason.NOT_PARSEABLE, f"the body is not JSON: {exc.msg} (byte {exc.pos})"[:300])


def deeper_than(body: bytes, value: Any, depth: int) -> bool:  # noqa: ANN401 JSON
    """Tell whether `value`, whose text is `body`, nests deeper than `depth` containers.

    Short texts are told by their brackets; others are written inside so many lists that orjson's own bound decides.
    """
    if len(body) < _SHORT and body.count(b"{") + body.count(b"[") <= depth:
        return False
    wrapped = value
    for _ in range(_WRITTEN_DEPTH - depth):
        wrapped = [wrapped]
    try:
        orjson.dumps(wrapped)
    except orjson.JSONEncodeError:
        return True
    return False
