"""`/tenants`: the isolation units. A key bound to a tenant sees its own only and makes none."""

from typing import Any

from ingress.api import paging
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Query, Route, Scope
from schemas.backing.registry import Record
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission, TenantDefinition
from schemas.errors import Refused
from schemas.reasons import Reason

_ADMIN = Permission.KEYS_ADMIN
_FORCE = Query("force", "boolean", "do not wait until what was accepted has its outcome and its rows")
_DROP = Query("dropTables", "boolean", "drop its tables too; they stay otherwise")


class TenantAnswer(shapes.Stamped):
    """A tenant."""


class TenantPage(Definition):
    """One page of tenants."""

    items: list[TenantAnswer]
    next_cursor: str | None


async def list_tenants(call: Call) -> Answer:
    """List the tenants, the own one for a key of a tenant."""
    tenants = call.env.registry.tenants
    if call.key.tenant is not None:
        return Answer(paging.page([_wire(await call.threads.run(tenants.get, call.key.tenant))], None))
    page = await call.threads.run(tenants.list, call.page)
    return Answer(paging.page([_wire(record) for record in page.items], page.next_cursor))


async def create_tenant(call: Call) -> Answer:
    """Create a tenant with its ledger and table topics."""
    if call.key.tenant is not None:
        raise Refused(Reason.FORBIDDEN, "this key belongs to one tenant: an admin key creates tenants")
    wanted = call.given(TenantDefinition).id
    record = await call.threads.run(call.env.registry.tenants.create, wanted, actor=call.actor)
    await call.threads.run(_make_topics, call, wanted)
    await call.env.view.refresh()
    return Answer(_wire(record), version=record.version, headers={"Location": f"/api/v1/tenants/{record.id}"})


async def get_tenant(call: Call) -> Answer:
    """Show a tenant."""
    record = await call.threads.run(call.env.registry.tenants.get, _own(call))
    return Answer(_wire(record), version=record.version)


async def delete_tenant(call: Call) -> Answer:
    """Delete a tenant: its keys and URLs end at once, the rest is a job; asked again, the same job."""
    wanted = call.named("id")
    if call.key.tenant is not None:
        _own(call)
        raise Refused(Reason.FORBIDDEN, "this key belongs to one tenant: an admin key deletes tenants")
    if wanted == call.env.settings.default_tenant:
        raise Refused(
            Reason.IN_USE, "this is the server's default tenant: set HOOKBERG_DEFAULT_TENANT to another first"
        )
    force, drop = bool(call.query.get("force", False)), bool(call.query.get("dropTables", False))
    begin = call.env.registry.retired.begin
    job = await call.threads.run(begin, wanted, force=force, drop_tables=drop, actor=call.actor)
    await call.env.view.refresh()
    return Answer(shapes.job(job), headers={"Location": f"/api/v1/jobs/{job.id}"})


def _make_topics(call: Call, tenant: str) -> None:
    for topic in call.env.topics.ensure_tenant_topics(tenant):
        call.env.registry.topics.put(topic, actor=call.actor)


def _own(call: Call) -> str:
    wanted = call.named("id")
    if call.key.tenant not in {None, wanted}:
        raise Refused(Reason.NOT_FOUND, "no such tenant")
    return wanted


def _wire(record: Record[TenantDefinition]) -> dict[str, Any]:
    return {
        "id": record.id,
        "tenantId": record.id,
        "version": record.version,
        "createdAt": shapes.instant(record.created_at_ms),
        "updatedAt": shapes.instant(record.updated_at_ms),
    }


ROUTES = (
    Route("GET", "/tenants", list_tenants, "List tenants", _ADMIN, TenantPage, query=shapes.PAGE, scope=Scope.SERVER),
    Route("POST", "/tenants", create_tenant, "Create a tenant", _ADMIN, TenantAnswer, status=201,
          takes=TenantDefinition, scope=Scope.SERVER, example={"id": "acme"},
          refusals=(Reason.NAME_TAKEN, Reason.TENANT_RETIRED, Reason.BROKER_REFUSED)),
    Route("GET", "/tenants/{id}", get_tenant, "Show a tenant", _ADMIN, TenantAnswer, scope=Scope.SERVER),
    Route("DELETE", "/tenants/{id}", delete_tenant, "Delete a tenant", _ADMIN, shapes.JobAnswer, status=202,
          query=(_FORCE, _DROP), scope=Scope.SERVER, refusals=(Reason.IN_USE,)),
)  # fmt: skip
