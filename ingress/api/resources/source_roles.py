"""`GET /sources/{id}/roles`: the role that an event of a source would have, and the assignments that it would meet."""

from ingress.api.call import Answer, Call
from ingress.api.resources import roles
from ingress.api.routes import Query, Route
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.role import role_of, takes

_QUERY = (
    Query("eventType", "string", "the event type; default `received`, that of events which name none"),
    Query("label", "string", "the label of `/webhooks/generic/{workspace}?source=`, in place of the platform"),
)
_UNSAID = "received"


class SourceRoles(Definition):
    """What an event would meet; `assignments` in the order of their runs."""

    source: str
    source_kind: str
    event_type: str
    role: str
    assignments: list[roles.RoleAnswer]


async def get_source_roles(call: Call) -> Answer:
    """Show the role that an event of a source would have, and the assignments that take it."""
    record = await call.threads.run(call.env.registry.sources.get, call.tenant, call.named("id"))
    event_type = str(call.query.get("eventType", _UNSAID))
    source_kind = f"webhook.{call.query.get('label') or record.platform}"
    role = role_of(source_kind, event_type)
    found = await call.threads.run(call.env.registry.roles.all, call.tenant)
    taken = [roles.wire(each) for each in found if each.open and takes(each.definition.role, role)]
    body = {"source": record.name, "sourceKind": source_kind, "eventType": event_type, "role": role}
    return Answer({**body, "assignments": taken})


ROUTES = (
    Route("GET", "/sources/{id}/roles", get_source_roles, "Show which assignments an event of a source would meet",
          Permission.SOURCES_READ, SourceRoles, query=_QUERY),
)  # fmt: skip
