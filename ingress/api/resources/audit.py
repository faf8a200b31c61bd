"""`/audit`: every change of the registry, newest first: who, when, what; secrets appear as `***`."""

from datetime import datetime
from typing import Any

from ingress.api import paging
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Route, Scope
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.wire.change import Change


class ChangeAnswer(Definition):
    """One change; `actor` is the id of an API key, or `system`."""

    revision: int
    tenant_id: str | None
    entity_type: str
    entity_id: str
    entity_name: str
    op: str
    version: int
    at: datetime
    actor: str
    request_id: str | None
    fields: list[dict[str, Any]]


class ChangePage(Definition):
    """One page of changes."""

    items: list[ChangeAnswer]
    next_cursor: str | None


async def list_changes(call: Call) -> Answer:
    """List changes: all for an admin key, those of a tenant when one is named or the key has one."""
    page = await call.threads.run(call.env.registry.changes.audit, call.page, call.tenant or None)
    return Answer(paging.page([_wire(change) for change in page.items], page.next_cursor))


def _wire(change: Change) -> dict[str, Any]:
    return {**change.to_wire(), "at": shapes.instant(change.at_ms)}


ROUTES = (
    Route("GET", "/audit", list_changes, "List changes, newest first", Permission.KEYS_ADMIN, ChangePage,
          query=shapes.PAGE, scope=Scope.SERVER),
)  # fmt: skip
