"""Members that the answers of several resources share, and how they look on the wire."""

from datetime import UTC, datetime
from typing import Any

from pydantic import RootModel

from ingress.api.routes import Query
from schemas.definitions.base import Definition
from schemas.definitions.job import Job
from schemas.errors import Refused
from schemas.reasons import Reason

PAGE = (
    Query("limit", "integer", "how many objects a page holds", minimum=1, maximum=200),
    Query("cursor", "string", "`nextCursor` of the page before", maximum=512),
)
"""The query parameters of every paged list."""


class Page(Definition):
    """One page of a list; `nextCursor` null = the last page."""

    items: list[dict[str, Any]]
    next_cursor: str | None


class Stamped(Definition):
    """What every stored object shows of itself."""

    id: str
    tenant_id: str | None
    version: int
    created_at: datetime
    updated_at: datetime


class JobAnswer(Definition):
    """A job: heavy work done by the process that owns the data."""

    id: str
    tenant_id: str
    kind: str
    state: str
    progress: float
    result: dict[str, Any] | None
    attempts: int
    created_at: datetime
    updated_at: datetime


def instant(epoch_ms: int | None) -> str | None:
    """Return a time in ms as RFC 3339 in UTC; None stays None."""
    if epoch_ms is None:
        return None
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_ms(text: str) -> int:
    """Return an RFC 3339 time in ms, in UTC where it names no offset; raise ValueError or OverflowError."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def job(value: Job) -> dict[str, Any]:
    """Return a job as answered; its arguments stay inside."""
    return {
        "id": value.id,
        "tenantId": value.tenant_id,
        "kind": value.kind,
        "state": value.state.value,
        "progress": value.progress,
        "result": value.result,
        "attempts": value.attempts,
        "createdAt": instant(value.created_at_ms),
        "updatedAt": instant(value.updated_at_ms),
    }


def with_name(value: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a PUT body with the name of its path put in; raise `Refused` when the body names another."""
    if value.get("name", name) != name:
        raise refuse("/name", f"the path names {name!r}: rename with PATCH")
    return {**value, "name": name}


def refuse(pointer: str, message: str, reason: Reason = Reason.INVALID_DEFINITION) -> Refused:
    """Make the refusal of one member."""
    return Refused(reason, f"{pointer}: {message}", errors=((pointer, message),))


class AnyObject(RootModel[dict[str, Any]]):
    """A JSON object of any shape."""
