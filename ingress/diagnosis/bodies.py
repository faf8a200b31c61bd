"""The bodies that a sender may have signed, given the one that came: one change at a time.

Lives here: line ends, BOM, form encoding, character sets, compression, and the JSON writers of rewriting.py. Not here:
which of them was signed (search.py). Bounded: a compressed body is inflated up to a limit.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, quote_plus, unquote_to_bytes, urlencode

from ingress.diagnosis import rewriting
from ingress.diagnosis.causes import Cause, Finding

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 1_000
_BOM = b"\xef\xbb\xbf"
_RAW = (
    "keep the bytes as they came (no body parser before the forwarding; express.raw, request.get_data(), php://input)"
)


@dataclass(frozen=True, slots=True)
class Body:
    """One body with what happened to it; `content_type` replaces the header where it changed too."""

    content: bytes = field(repr=False)
    finding: Finding
    content_type: str | None = None


def variants(body: bytes, content_type: str, *, reencoded: int) -> Iterator[Body]:
    """Yield bodies that may have been signed; JSON is written anew up to `reencoded` bytes."""
    seen = {body}
    for made in _all(body, content_type, reencoded):
        if made.content not in seen or made.content_type is not None:
            seen.add(made.content)
            yield made


def _all(body: bytes, content_type: str, reencoded: int) -> Iterator[Body]:
    yield from _line_ends(body)
    yield from _bom(body)
    if len(body) <= reencoded:
        for text, how in rewriting.variants(body):
            detail = f"the signed body was JSON {how}: a proxy, gateway or framework parsed and re-encoded it; {_RAW}"
            yield _made(text, Cause.BODY_REENCODED, detail)
        yield from _forms(body, content_type)
        yield from _charsets(body)
    yield from _inflated(body, reencoded)


def _line_ends(body: bytes) -> Iterator[Body]:
    bare = body.rstrip(b"\r\n")
    lf = body.replace(b"\r\n", b"\n")
    for text, what in (
        (body.removesuffix(b"\n"), "a line feed was added at the end of the body on the way"),
        (body.removesuffix(b"\r\n"), "a CRLF was added at the end of the body on the way"),
        (bare, "line feeds were added at the end of the body on the way"),
        (body + b"\n", "the line feed at the end of the signed body was stripped on the way"),
        (body + b"\r\n", "the CRLF at the end of the signed body was stripped on the way"),
        (lf.replace(b"\n", b"\r\n"), "the signed body had CRLF line ends, what came has LF: they were converted"),
        (lf, "the signed body had LF line ends, what came has CRLF: they were converted"),
        (lf.rstrip(b"\n").replace(b"\n", b"\r\n"), "line ends were converted and one was added at the end"),
        (body.strip(), "white space was added around the body on the way"),
        (lf.replace(b"\n", b""), "line feeds were put into the body on the way"),
    ):
        yield _made(text, Cause.BODY_LINE_ENDS, f"{what}; {_RAW}")


def _bom(body: bytes) -> Iterator[Body]:
    if body.startswith(_BOM):
        detail = f"a byte order mark (EF BB BF) stands before the signed body: it was added on the way; {_RAW}"
        yield _made(body[len(_BOM) :], Cause.BODY_BOM, detail)
    else:
        detail = f"the sender signed a byte order mark (EF BB BF) that was stripped on the way; {_RAW}"
        yield _made(_BOM + body, Cause.BODY_BOM, detail)


def _forms(body: bytes, content_type: str) -> Iterator[Body]:
    """Yield what a form parser may have taken apart."""

    def form(content: bytes, what: str, kind: str | None = None) -> Body:
        return _made(content, Cause.BODY_FORM, f"{what}; {_RAW}", kind)

    undone = unquote_to_bytes(body.replace(b"+", b" "))
    yield form(undone, "the body was taken for a form and percent-encoded on the way")
    yield form(undone.removesuffix(b"="), "the body was taken for a form field and encoded anew on the way")
    packed = quote_plus(body).encode()
    yield form(b"payload=" + packed, "the signed body was a form with a field payload: it was decoded on the way", FORM)
    yield form(b"payload=" + quote(body, safe="").encode(), "the signed form was decoded on the way", FORM)
    fields = _pairs(body)
    if len(fields) == 1 and fields[0][1]:
        inner = fields[0][1].encode("utf-8", "surrogatepass")
        what = f"the sender signed what is inside the form's field {fields[0][0][:40]}: it must sign the body as sent"
        yield _made(inner, Cause.BODY_FORM, what)
    for pairs in (_pairs_of_json(body), fields):
        if pairs:
            what = "the signed body was a form: its fields were decoded and written anew on the way"
            yield form(urlencode(pairs, errors="surrogatepass").encode(), what, FORM)
            yield form(urlencode(pairs, quote_via=quote, errors="surrogatepass").encode(), what, FORM)
    if not content_type.lower().startswith(FORM) and b"=" in body:
        yield form(body, f"the body is a form but Content-Type does not say {FORM}: a proxy changed that header", FORM)


def _charsets(body: bytes) -> Iterator[Body]:
    for decode, encode, what in (
        ("utf-8", "latin-1", "the signed UTF-8 was read as Latin-1 and encoded again"),
        ("utf-8", "cp1252", "the signed UTF-8 was read as Windows-1252 and encoded again"),
        ("latin-1", "utf-8", "the signed UTF-8 was written as Latin-1"),
        ("utf-8", "utf-16", "the signed body was UTF-16"),
    ):
        try:
            text = body.decode(decode).encode(encode)
        except UnicodeError:
            continue
        yield _made(text, Cause.BODY_CHARSET, f"{what} on the way; {_RAW}")


def _inflated(body: bytes, limit: int) -> Iterator[Body]:
    try:
        inflater = zlib.decompressobj(47)  # gzip or zlib, told by the head
        text = inflater.decompress(body, limit)
        if not inflater.eof:
            return
    except zlib.error:
        return
    detail = "the sender signed the body before it was compressed: sign what is sent, or send it uncompressed"
    yield _made(text, Cause.BODY_COMPRESSED, detail)


def _pairs_of_json(body: bytes) -> list[tuple[str, str]]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(value, dict) or len(value) > MAX_FIELDS:
        return []
    return [(name, each) for name, each in value.items() if isinstance(each, str)]


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return []


def _made(content: bytes, cause: Cause, detail: str, content_type: str | None = None) -> Body:
    return Body(content, Finding(cause, detail, True), content_type)
