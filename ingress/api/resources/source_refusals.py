"""`GET /sources/{id}/refusals`: the newest requests that a source refused, redacted, each with what to do."""

from datetime import datetime
from typing import Any

from ingress.api import paging
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.resources.source_verify import CauseShown
from ingress.api.routes import Route
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission


class RefusalShown(Definition):
    """A refused request. `causes` is empty where nothing was tried: `POST /sources/{id}/verify` tries it.

    Secret headers, parameters and tokens are `***`; long values are cut.
    """

    id: str
    at: datetime
    reason: str
    status: int
    detail: str
    causes: list[CauseShown]
    method: str
    url: str
    headers: list[tuple[str, str]]
    body_bytes: int | None


class RefusalPage(Definition):
    """Refused requests of a source, newest first: at most 50 are kept."""

    items: list[RefusalShown]
    next_cursor: str | None


async def list_source_refusals(call: Call) -> Answer:
    """List the newest refused requests of a source."""
    record = await call.threads.run(call.env.registry.sources.get, call.tenant, call.named("id"))
    page = await call.threads.run(call.env.registry.refusals.list, record.id, call.page)
    return Answer(paging.page([_wire(dict(found)) for found in page.items], page.next_cursor))


def _wire(found: dict[str, Any]) -> dict[str, Any]:
    return {"id": found.pop("id"), "at": shapes.instant(found.pop("atMs")), **found}


ROUTES = (
    Route("GET", "/sources/{id}/refusals", list_source_refusals, "List a source's newest refused requests",
          Permission.SOURCES_READ, RefusalPage, query=shapes.PAGE),
)  # fmt: skip
