"""`/quarantine`: what could not become a row, and why; redriving it is a job of the stage (rules 15 and 16).

Read from the quarantine table through ports.TableReader.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Query, Route
from schemas.definitions.base import Definition
from schemas.definitions.job import REDRIVE
from schemas.definitions.key import Permission
from schemas.reasons import Reason

_FILTERS = (
    Query("source", "string", "id or name of a source"),
    Query("eventType", "string", "an event type, for example charge.succeeded"),
    Query("reason", "string", "a reason code, for example schema_violation"),
    Query("schema", "string", "`subject@version`"),
    Query("after", "string", "received at or after this RFC 3339 time", maximum=40),
    Query("before", "string", "received before this RFC 3339 time", maximum=40),
    Query("kind", "string", "open (default: failed and not resolved since), failed, resolved or all", maximum=8),
)
MAX_IDS, MAX_ROWS = 1_000, 1_000_000
_Text = Annotated[str, Field(min_length=1, max_length=256)]
_Moment = Annotated[datetime, AfterValidator(lambda at: at if at.tzinfo else at.replace(tzinfo=UTC))]
_EXAMPLE = {"source": "github-main", "reason": "schema_violation", "dryRun": True}


class RedriveRequest(Definition):
    """Which open rows to redrive: all that meet every filter, at most `limit` of them by position.

    `ids`: event ids as the list shows them. `as: distinct` takes rows with reason `id_conflict` as well, and other
    contents of known events keep ids of their own. `dryRun`: only count.
    """

    source: _Text | None = None
    event_type: _Text | None = None
    reason: _Text | None = None
    schema_: _Text | None = Field(default=None, alias="schema")
    after: _Moment | None = None
    before: _Moment | None = None
    ids: tuple[Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")], ...] = Field(default=(), max_length=MAX_IDS)
    as_: Literal["distinct"] | None = Field(default=None, alias="as")
    limit: int = Field(default=100_000, ge=1, le=MAX_ROWS)
    dry_run: bool = False


class RedriveCount(Definition):
    """How many open rows a redrive would take now."""

    matching: int
    by_reason: dict[str, int]


async def list_quarantine(call: Call) -> Answer:
    """List what is in quarantine, newest first."""
    wanted = {query.name: str(call.query[query.name]) for query in _FILTERS if query.name in call.query}
    return Answer(await call.env.tables.quarantine(call.tenant, wanted, call.limit, call.cursor))


async def redrive_quarantine(call: Call) -> Answer:
    """Redrive what is in quarantine: a job writes the original requests anew, or `dryRun` counts them."""
    given = call.given(RedriveRequest)
    if given.reason == Reason.ID_CONFLICT and given.as_ is None:
        raise shapes.refuse("/as", "another content of a known event is redriven with `as: distinct` only")
    arguments = _arguments(given)
    if given.dry_run:
        found = await call.env.tables.redrivable(call.tenant, {**arguments, "distinct": given.as_ is not None})
        return Answer({**found, "matching": min(given.limit, found["matching"])}, status=200)
    jobs = call.env.registry.jobs
    asked = {**arguments, "revision": await call.threads.run(call.env.registry.revision)}
    job = await call.threads.run(jobs.create, call.tenant, REDRIVE, asked, actor=call.actor, told=arguments)
    return Answer(shapes.job(job), headers={"Location": f"/api/v1/jobs/{job.id}"})


def _arguments(given: RedriveRequest) -> dict[str, Any]:
    wire = given.to_wire()
    return {name: value for name, value in wire.items() if name != "dryRun" and value not in (None, [])}


ROUTES = (
    Route("GET", "/quarantine", list_quarantine, "List what is in quarantine", Permission.EVENTS_READ, shapes.Page,
          query=(*_FILTERS, *shapes.PAGE)),
    Route("POST", "/quarantine/redrive", redrive_quarantine, "Redrive what is in quarantine", Permission.EVENTS_WRITE,
          shapes.JobAnswer, status=202, takes=RedriveRequest, body_optional=True, also={200: RedriveCount},
          example=_EXAMPLE),
)  # fmt: skip
