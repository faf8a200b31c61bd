"""multipart/form-data -> one JSON object of its parts: fields as text, files by name, type, size and SHA-256.

Lives here: the frame (RFC 2046 section 5.1.1), held strictly: nothing before the first delimiter or after the last, and
the last must be there. Parts' headers are read by the standard library. A file's bytes stay in the raw record only.
https://www.rfc-editor.org/rfc/rfc7578
"""

import hashlib
import re
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from typing import Any, NamedTuple

import orjson

from schemas.errors import Poison
from schemas.reasons import Reason
from streams.shapes import form, json_text, kinds
from streams.shapes.kinds import Kind
from streams.shapes.text import decoded

MAX_PARTS = 1_000
MAX_HEADERS = 8_192
_MAX_BOUNDARY = 70
"""RFC 2046 section 5.1.1."""
_AFTER = re.compile(rb"[ \t]*(?:(--)[ \t]*(?:\r\n[ \t\r\n]*)?\Z|\r\n)")
_PLAIN_CODINGS = frozenset({"", "7bit", "8bit", "binary"})
_HEADERS = HeaderParser()


class _Part(NamedTuple):
    name: str
    filename: str | None
    content_type: str | None
    content: memoryview


def read(body: bytes, boundary: str | None, forced: str | None = None) -> dict[str, Any]:
    """Return the parts by name, an array of those whose name comes again; a JSON part is an `orjson.Fragment`.

    Raises `Poison(not_parseable|not_utf8|too_deep|unsupported_content_type)`.
    """
    out: dict[str, Any] = {}
    again: set[str] = set()
    for number, part in enumerate(_parts(body, boundary)):
        if number == MAX_PARTS:
            raise _broken(f"it has more than {MAX_PARTS} parts")
        form.add(out, again, part.name, _value(part, forced))
    return out


def _value(part: _Part, forced: str | None) -> Any:  # noqa: ANN401 JSON
    """Return what stands for a part: text, JSON as sent, or what a file is known by."""
    said = kinds.said(part.content_type)
    if part.filename is None and part.content_type is not None and said.kind is Kind.JSON:
        text, _ = json_text.read(bytes(part.content), said.charset, forced)
        return orjson.Fragment(text.strip())
    if part.filename is None and (part.content_type is None or said.name.startswith("text/")):
        return decoded(bytes(part.content), said.charset, forced)
    return {
        "filename": part.filename,
        "contentType": part.content_type,
        "size": len(part.content),
        "sha256": hashlib.sha256(part.content).hexdigest(),
    }


def _parts(body: bytes, boundary: str | None) -> Iterator[_Part]:
    if not boundary or len(boundary) > _MAX_BOUNDARY or not boundary.isascii():
        raise _broken("its Content-Type names no boundary of 1 to 70 ASCII characters")
    delimiter = b"--" + boundary.encode()
    view = memoryview(body)
    start = len(delimiter) + 2 * body.startswith(b"\r\n")
    if not body.startswith(delimiter, start - len(delimiter)):
        raise _broken("it does not begin with its boundary")
    after = _AFTER.match(body, start)
    while after is not None and after[1] is None:
        at = after.end()
        end, after = _next(body, b"\r\n" + delimiter, at)
        yield _part(body, view, at, end)
    if after is None:
        raise _broken("its first boundary is not a line of its own")


def _next(body: bytes, delimiter: bytes, at: int) -> tuple[int, re.Match[bytes]]:
    """Return where a part that begins at `at` ends, and what follows the delimiter there."""
    search = at
    while (end := body.find(delimiter, search)) >= 0:
        after = _AFTER.match(body, end + len(delimiter))
        if after is not None:
            return end, after
        search = end + 1  # the same letters, and more on the line: content
    raise _broken("its last boundary is missing, or something follows it: it was cut off or is damaged")


def _part(body: bytes, view: memoryview, at: int, end: int) -> _Part:
    if body.startswith(b"\r\n", at):
        stop, begin = at, at + 2
    else:
        stop = body.find(b"\r\n\r\n", at, min(end, at + MAX_HEADERS))
        begin = stop + 4
    if stop < 0 or begin > end:
        raise _broken(f"a part has no headers, or more than {MAX_HEADERS} bytes of them")
    try:
        headers = _HEADERS.parsestr(body[at:stop].decode("utf-8"))
    except UnicodeDecodeError:
        raise Poison(Reason.NOT_UTF8, "the headers of a part are not UTF-8") from None
    name = _named(headers, "name")
    if headers.get_content_disposition() != "form-data" or name is None:
        raise _broken("a part has no Content-Disposition: form-data with a name")
    if str(headers.get("content-transfer-encoding", "")).strip().lower() not in _PLAIN_CODINGS:
        raise _broken("a part has a Content-Transfer-Encoding, which forms do not have (RFC 7578 section 4.7)")
    kind = headers.get("content-type")
    return _Part(name, _named(headers, "filename"), None if kind is None else str(kind).strip(), view[begin:end])


def _named(headers: Message, parameter: str) -> str | None:
    found = headers.get_param(parameter, header="content-disposition")
    if isinstance(found, tuple):  # filename*=UTF-8''...: RFC 7578 forbids it and senders do it
        try:
            return bytes(found[2], "latin-1").decode(found[0] or "utf-8")
        except (LookupError, UnicodeError):
            raise Poison(Reason.NOT_UTF8, f"the {parameter} of a part cannot be decoded") from None
    return found


def _broken(why: str) -> Poison:
    return Poison(Reason.NOT_PARSEABLE, f"the multipart body cannot be read: {why}")
