"""`/tenants`: the isolation units. A key bound to a tenant sees its own only and makes none."""

from typing import Any

from ingress.api import paging
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Route, Scope
from schemas.backing.registry import Record
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission, TenantDefinition
from schemas.errors import Refused
from schemas.reasons import Reason

_ADMIN = Permission.KEYS_ADMIN


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
    """Retire a tenant: its id is never used again, its tables and topics stay."""
    wanted = _own(call)
    if call.key.tenant is not None:
        raise Refused(Reason.FORBIDDEN, "this key belongs to one tenant: an admin key retires tenants")
    await call.threads.run(call.env.registry.tenants.delete, wanted, actor=call.actor)
    await call.env.view.refresh()
    return Answer()


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
          takes=TenantDefinition, scope=Scope.SERVER, refusals=(Reason.NAME_TAKEN, Reason.BROKER_REFUSED),
          example={"id": "acme"}),
    Route("GET", "/tenants/{id}", get_tenant, "Show a tenant", _ADMIN, TenantAnswer, scope=Scope.SERVER),
    Route("DELETE", "/tenants/{id}", delete_tenant, "Retire a tenant", _ADMIN, None, status=204, scope=Scope.SERVER,
          refusals=(Reason.IN_USE,)),
)  # fmt: skip
