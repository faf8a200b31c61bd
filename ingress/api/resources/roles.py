"""`/roles`: which events make runs, and for which target. The first assignment to a target makes its topic."""

from typing import Any

from ingress.api import merge_patch, paging, reading
from ingress.api.again import again
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Query, Route
from schemas.backing.growth import grow
from schemas.backing.registry import RoleRecord
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.role import RoleDefinition
from schemas.reasons import Reason

_READ, _WRITE = Permission.SOURCES_READ, Permission.SOURCES_WRITE
_TARGET = Query("target", "string", "assignments to this target only", maximum=64)


class RoleAnswer(shapes.Stamped):
    """An assignment; `open` false: its topic could not be made yet, a PATCH tries again."""

    name: str
    role: str
    target: str
    topic: str
    description: str
    open: bool


class RolePage(Definition):
    """One page of assignments."""

    items: list[RoleAnswer]
    next_cursor: str | None


async def list_roles(call: Call) -> Answer:
    """List role assignments."""
    page = await call.threads.run(call.env.registry.roles.list, call.tenant, call.page, target=call.query.get("target"))
    return Answer(paging.page([wire(record) for record in page.items], page.next_cursor))


async def create_role(call: Call) -> Answer:
    """Assign a role, or a glob over roles, to a target; the target's topic is made with its first assignment."""
    roles = call.env.registry.roles
    record = await call.threads.run(roles.create, call.tenant, call.given(RoleDefinition), actor=call.actor)
    try:
        record = await call.threads.run(_open, call, record)
    except Exception:
        # without a topic it could never take effect: take it back, so that the caller may simply try again
        await call.threads.run(roles.delete, call.tenant, record.id, actor=call.actor)
        raise
    await call.env.view.refresh()
    headers = {"Location": f"/api/v1/roles/{record.id}"}
    return Answer(wire(record), version=record.version, headers=headers)


async def get_role(call: Call) -> Answer:
    """Show a role assignment."""
    record = await call.threads.run(call.env.registry.roles.get, call.tenant, call.named("id"))
    return Answer(wire(record), version=record.version)


async def patch_role(call: Call) -> Answer:
    """Change name or description of an assignment; role and target stay, for they are what its runs' ids stand for."""
    return await again(call, _patch)


async def _patch(call: Call) -> Answer:
    roles = call.env.registry.roles
    record = await call.threads.run(roles.get, call.tenant, call.named("id"))
    expected = call.expected(record.version)
    wanted = reading.definition(RoleDefinition, merge_patch.apply(record.definition.to_wire(), call.value))
    updated = await call.threads.run(roles.update, call.tenant, record.id, wanted, if_match=expected, actor=call.actor)
    if not updated.open:
        updated = await call.threads.run(_open, call, updated)
        await call.env.view.refresh()
    return Answer(wire(updated), version=updated.version)


async def delete_role(call: Call) -> Answer:
    """Delete an assignment: events decided from then on make no runs of it; the target's topic stays."""
    roles = call.env.registry.roles
    record = await call.threads.run(roles.get, call.tenant, call.named("id"))
    expected = call.expected(record.version)
    await call.threads.run(roles.delete, call.tenant, record.id, if_match=expected, actor=call.actor)
    await call.env.view.refresh()
    return Answer()


def _open(call: Call, record: RoleRecord) -> RoleRecord:
    """Make the topic, keep its id, give every group of the tenant its range, put the assignment into effect."""
    registry = call.env.registry
    topic = call.env.topics.ensure_run_topic(call.tenant, record.definition.target)
    registry.topics.put(topic, actor=call.actor)
    grow(registry, call.env.topics, call.tenant, call.actor)
    return registry.roles.set_open(call.tenant, record.id, actor=call.actor)


def wire(record: RoleRecord) -> dict[str, Any]:
    """Return an assignment as answered."""
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        "name": record.name,
        "role": record.definition.role,
        "target": record.definition.target,
        "topic": record.topic,
        "description": record.definition.description,
        "open": record.open,
        "version": record.version,
        "createdAt": shapes.instant(record.created_at_ms),
        "updatedAt": shapes.instant(record.updated_at_ms),
    }


ROUTES = (
    Route("GET", "/roles", list_roles, "List role assignments", _READ, RolePage, query=(_TARGET, *shapes.PAGE)),
    Route("POST", "/roles", create_role, "Assign a role to a target", _WRITE, RoleAnswer, status=201,
          takes=RoleDefinition, example={"role": "webhook.github.*", "target": "reviewer"},
          refusals=(Reason.NAME_TAKEN, Reason.TOPIC_NAME_TAKEN, Reason.TOO_MANY_ROLES, Reason.BROKER_REFUSED)),
    Route("GET", "/roles/{id}", get_role, "Show a role assignment", _READ, RoleAnswer),
    Route("PATCH", "/roles/{id}", patch_role, "Change an assignment's name or description", _WRITE, RoleAnswer,
          takes=RoleDefinition, refusals=(Reason.NAME_TAKEN, Reason.IMMUTABLE, Reason.BROKER_REFUSED)),
    Route("DELETE", "/roles/{id}", delete_role, "Delete an assignment; its target's topic stays", _WRITE, None,
          status=204),
)  # fmt: skip
