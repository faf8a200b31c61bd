"""A body -> its items, by the shape that its content type names or its source sets.

Lives here: the order: inflate, tell the shape, read it, split it. Not here: any shape (one file each beside this one).
The only error is `Poison`. Pure. What becomes of every odd body: README.md.
"""

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from schemas.errors import Poison
from schemas.reasons import Reason
from schemas.vendors.base import DEFAULT_BODY_LIMIT
from streams.shapes import cloudevents, form, inflate, json_text, kinds, lines, multipart
from streams.shapes.kinds import Kind, Said
from streams.split import Item, item, split, surround
from streams.texts import Path


class How(NamedTuple):
    """How a source's bodies are read: its parse setting, where its vendor's items stand, the largest inflated body."""

    content_type: str | None = None
    charset: str | None = None
    form: str | None = None
    paths: tuple[Path, ...] = ()
    limit: int = DEFAULT_BODY_LIMIT


Body = tuple[tuple[Item, ...], str | None]
"""A body's items; where the sender says that they are CloudEvents, BINARY or IN_BODY: where their attributes stand."""
BY_CONTENT_TYPE = How()
BINARY, IN_BODY = "binary", "body"


def read(body: bytes, headers: Mapping[str, str], how: How = BY_CONTENT_TYPE, first_covered: bool = False) -> Body:
    """Return the items of a body; raise `Poison` with the reason when it has none that can be read.

    `headers` by lower-case name. `first_covered`: the proof of a batch covers all of item 0 and nothing of the others.
    """
    coding = headers.get("content-encoding")
    if coding is not None:
        body = inflate.inflate(body, coding, how.limit)
    sent = headers.get("content-type")
    said = kinds.said(sent if how.content_type is None else how.content_type)
    charset = said.charset if how.content_type is None else kinds.said(sent).charset
    kind = said.kind
    in_body = kind is Kind.CLOUDEVENT or kind is Kind.CLOUDEVENTS
    if "ce-id" in headers and not in_body and cloudevents.is_binary(headers):
        return _binary(body, headers, said, charset, how), BINARY
    try:
        if kind is Kind.JSON:
            text, value = json_text.read(body, charset, how.charset)
            return split(text, value, how.paths, first_covered), None
        if in_body:
            text, value = json_text.read(body, charset, how.charset)
            cloudevents.check(value, batch=kind is Kind.CLOUDEVENTS)
            return split(text, value, (), first_covered), IN_BODY
        return _others(body, said, charset, how, first_covered), None
    except ValueError as exc:
        raise Poison(Reason.NOT_PARSEABLE, str(exc)[:300]) from None


def _others(body: bytes, said: Said, charset: str | None, how: How, first_covered: bool) -> tuple[Item, ...]:
    if said.kind is Kind.LINES:
        return lines.read(body, charset, how.charset)
    if said.kind is Kind.FORM:
        return _form(body, charset, how, first_covered)
    if said.kind is Kind.MULTIPART:
        parts = multipart.read(body, said.boundary, how.charset)
        return _object(orjson.dumps(parts)) if parts else ()
    raise _unknown(said)


def _form(body: bytes, charset: str | None, how: How, first_covered: bool) -> tuple[Item, ...]:
    found = form.pairs(body)
    if not found and how.form != "payload":
        return ()
    inside = form.payload(found, how.form)
    if inside is None:
        return _object(orjson.dumps(form.fields(found, charset, how.charset)))
    text, value = json_text.read(inside[0], charset, how.charset)
    items = split(text, value, how.paths, first_covered)
    if inside[1]:
        surround(items, orjson.dumps(form.fields(inside[1], charset, how.charset)))
    return items


def _object(text: bytes) -> tuple[Item, ...]:
    """Return the one item of an object that was made here; a JSON part of it is read again with the rest."""
    return (item(0, text, orjson.loads(text)),)


def _binary(body: bytes, headers: Mapping[str, str], said: Said, charset: str | None, how: How) -> tuple[Item, ...]:
    if not body.strip():
        return cloudevents.whole(b"{}", {}, headers)
    if said.kind is not Kind.JSON:
        raise _unknown(said)
    return cloudevents.whole(*json_text.read(body, charset, how.charset), headers)


def _unknown(said: Said) -> Poison:
    return Poison(
        Reason.UNSUPPORTED_CONTENT_TYPE,
        f"no parser for content type {said.name[:100]!r}; parse.contentType of the source says what its bodies are",
    )
