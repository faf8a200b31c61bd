"""Who calls and for which tenant: `Authorization: Bearer hbk_…`, `X-Tenant-Id`, permissions (spec section 5).

Keys are looked up by digest in the registry's snapshot, so a call costs no query; a miss asks the database once, at the
view's own rate limit. A key bound to a tenant acts for that tenant only and learns nothing of others.
"""

from collections.abc import Sequence

from ingress.api.routes import Scope
from schemas.definitions.key import PREFIX, Permission, digest
from schemas.definitions.view import KeyView
from schemas.errors import Refused
from schemas.ports import RegistryView
from schemas.reasons import Reason

MAX_KEY = 256
TENANT_HEADER = "X-Tenant-Id"


async def key_of(view: RegistryView, authorization: Sequence[str]) -> KeyView:
    """Return the caller's key from the `Authorization` header's values; raise `Refused(unauthenticated)`."""
    if len(authorization) != 1:
        raise Refused(Reason.UNAUTHENTICATED, "send one header `Authorization: Bearer hbk_…` with an API key")
    scheme, _, text = authorization[0].partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text.startswith(PREFIX) or len(text) > MAX_KEY:
        raise Refused(Reason.UNAUTHENTICATED, "send `Authorization: Bearer hbk_…` with an API key")
    wanted = digest(text)
    key = view.current().keys.get(wanted) or (await view.refresh()).keys.get(wanted)
    if key is None:
        raise Refused(Reason.UNAUTHENTICATED, "this API key is not known: it may have been revoked")
    return key


def permit(key: KeyView, permission: Permission | None) -> None:
    """Raise `Refused(forbidden)` unless the key holds the permission; None = any key will do."""
    if permission is not None and permission not in key.permissions:
        raise Refused(Reason.FORBIDDEN, f"this call needs a key with the permission {permission.value}")


async def tenant_of(view: RegistryView, key: KeyView, named: Sequence[str], scope: Scope, default: str | None) -> str:
    """Return the tenant that a call acts for; "" on a server-wide route when an admin key names none.

    `named` holds the values of `X-Tenant-Id`. Raises `Refused`: forbidden for a key of another tenant, not_found for an
    unknown tenant, bad_request when nothing names one.
    """
    if len(set(named)) > 1:
        raise Refused(Reason.BAD_REQUEST, f"{TENANT_HEADER} is sent twice with different values")
    asked = named[0] if named else None
    if key.tenant is not None:
        if asked is not None and asked != key.tenant:
            raise Refused(Reason.FORBIDDEN, f"this key belongs to one tenant: leave {TENANT_HEADER} out")
        return key.tenant
    if asked is None and scope is Scope.SERVER:
        return ""
    tenant = asked if asked is not None else default
    if tenant is None:
        raise Refused(Reason.BAD_REQUEST, f"name the tenant with {TENANT_HEADER}: this key acts for any")
    if tenant not in view.current().tenants and tenant not in (await view.refresh()).tenants:
        raise Refused(Reason.NOT_FOUND, "no such tenant: create it with POST /api/v1/tenants")
    return tenant
