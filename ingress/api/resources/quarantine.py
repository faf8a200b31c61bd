"""`/quarantine`: what could not become a row, and why. Read from the quarantine table through ports.TableReader."""

from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Query, Route
from schemas.definitions.key import Permission

_FILTERS = (
    Query("source", "string", "id or name of a source"),
    Query("eventType", "string", "an event type, for example charge.succeeded"),
    Query("reason", "string", "a reason code, for example schema_violation"),
    Query("schema", "string", "`subject@version`"),
    Query("after", "string", "received at or after this RFC 3339 time", maximum=40),
    Query("before", "string", "received before this RFC 3339 time", maximum=40),
    Query("kind", "string", "open (default: failed and not resolved since), failed, resolved or all", maximum=8),
)


async def list_quarantine(call: Call) -> Answer:
    """List what is in quarantine, newest first."""
    wanted = {query.name: str(call.query[query.name]) for query in _FILTERS if query.name in call.query}
    return Answer(await call.env.tables.quarantine(call.tenant, wanted, call.limit, call.cursor))


ROUTES = (
    Route("GET", "/quarantine", list_quarantine, "List what is in quarantine", Permission.EVENTS_READ, shapes.Page,
          query=(*_FILTERS, *shapes.PAGE)),
)  # fmt: skip
