"""The shapes that every repository takes and returns: record, page, actor.

Lives here: plain values and the cursor's form. Not here: SQL (objects/). Contract: spec section 5.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from schemas.definitions.base import Definition
from schemas.definitions.source import SourceDefinition
from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import TopicView
from schemas.errors import Refused
from schemas.reasons import Reason

D = TypeVar("D", bound=Definition)
R = TypeVar("R")
RandomBytes = Callable[[int], bytes]
MAX_LIMIT = 200
MAX_CURSOR = 1024

TopicRecord = TopicView
"""A topic in the registry has nothing that views do not have."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: the API key's id or "system", and the request it did so with."""

    id: str
    request_id: str | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Record(Generic[D]):
    """One object as stored; `version` grows by one with each change, times in ms since the epoch."""

    id: str
    tenant_id: str | None
    name: str
    version: int
    created_at_ms: int
    updated_at_ms: int
    definition: D


@dataclass(frozen=True, slots=True)
class SourceRecord(Record[SourceDefinition]):
    """A source; its definition holds no secrets. `open`: all partitions of its topics have leaders."""

    topic: str
    partitioning: str
    partitions: int
    open: bool
    key_id: str | None

    @property
    def tenant(self) -> str:
        """Return the tenant, which a source always has."""
        return self.tenant_id or ""

    @property
    def platform(self) -> str:
        """Return the platform."""
        return self.definition.platform


@dataclass(frozen=True, slots=True)
class StreamRecord(Record[StreamDefinition]):
    """A stream; `desired` running or stopped, `generation` grows with every start and restart."""

    desired: str
    generation: int
    accept_loss: bool

    @property
    def tenant(self) -> str:
        """Return the tenant, which a stream always has."""
        return self.tenant_id or ""


@dataclass(frozen=True, slots=True)
class UrlRecord:
    """A secret URL of a source; its token was shown once and only its digest is kept.

    `last_used_at_ms` None = nothing that came by it was accepted yet.
    """

    id: str
    created_at_ms: int
    last_used_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SecretRecord:
    """What may be told of a secret; `last_used_at_ms` None = never matched a signature."""

    id: str
    created_at_ms: int
    last_used_at_ms: int | None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list: `limit` 1..200 and the cursor of the page before."""

    limit: int = 50
    cursor: str | None = None

    def __post_init__(self) -> None:
        """Refuse limits outside 1..200."""
        if not 1 <= self.limit <= MAX_LIMIT:
            raise Refused(Reason.BAD_REQUEST, f"limit must be 1 to {MAX_LIMIT}")


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """One page of a list; `next_cursor` None = the last one."""

    items: tuple[R, ...]
    next_cursor: str | None


def cursor_text(key: str | int, row_id: str) -> str:
    """Make the opaque cursor that stands after the row with this sort key and id."""
    return base64.urlsafe_b64encode(orjson.dumps([key, row_id])).decode().rstrip("=")


def cursor_read(text: str, kind: type[str] | type[int]) -> tuple[Any, str]:
    """Read a cursor; raise `Refused(bad_request)` on one that we did not make for this list."""
    try:
        padded = text[:MAX_CURSOR] + "=" * (-len(text[:MAX_CURSOR]) % 4)
        key, row_id = orjson.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, TypeError, binascii.Error):
        raise Refused(Reason.BAD_REQUEST, "cursor: not one that this list gave; begin without a cursor") from None
    if not isinstance(key, kind) or not isinstance(row_id, str):
        raise Refused(Reason.BAD_REQUEST, "cursor: not one of this list; begin without a cursor")
    return key, row_id
