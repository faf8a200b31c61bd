"""Content type -> shape of a body, its charset and boundary.

Lives here: which content types mean which shape. Not here: reading any of them (one file a shape beside this one).
https://www.rfc-editor.org/rfc/rfc9110#name-content-type
"""

from email.message import Message
from email.utils import collapse_rfc2231_value
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple


class Kind(Enum):
    """A shape that bodies have."""

    JSON = auto()
    LINES = auto()
    FORM = auto()
    MULTIPART = auto()
    CLOUDEVENT = auto()
    CLOUDEVENTS = auto()


_KINDS = {
    "": Kind.JSON,
    "application/json": Kind.JSON,
    "text/json": Kind.JSON,
    "application/x-ndjson": Kind.LINES,
    "application/ndjson": Kind.LINES,
    "application/jsonl": Kind.LINES,
    "application/jsonlines": Kind.LINES,
    "application/x-jsonlines": Kind.LINES,
    "application/x-www-form-urlencoded": Kind.FORM,
    "multipart/form-data": Kind.MULTIPART,
    "application/cloudevents+json": Kind.CLOUDEVENT,
    "application/cloudevents-batch+json": Kind.CLOUDEVENTS,
}


class Said(NamedTuple):
    """What a Content-Type header says; `kind` None: nothing here reads it."""

    kind: Kind | None
    name: str
    charset: str | None
    boundary: str | None


@lru_cache(maxsize=256)
def said(content_type: str | None) -> Said:
    """Read a Content-Type header; an absent one means JSON, as curl and many senders leave it out."""
    name = (content_type or "").partition(";")[0].strip().lower()
    kind = _KINDS.get(name)
    if kind is None and name.endswith("+json"):
        kind = Kind.JSON
    if ";" not in (content_type or ""):
        return Said(kind, name, None, None)
    header = Message()
    header["content-type"] = content_type or ""
    return Said(kind, name, _parameter(header, "charset"), _parameter(header, "boundary"))


def _parameter(header: Message, name: str) -> str | None:
    try:
        found = header.get_param(name)
        return None if found is None else collapse_rfc2231_value(found).strip() or None
    except (ValueError, TypeError, LookupError):
        return None
