"""Which source a request is for, read from the registry's newest snapshot.

Lives here: the look-up, the one refresh before a 404, self-registration with an API key. Not here: whether the sender
is who he says he is (authenticate.py). What is not there, not the key's or closed answers one identical 404, so that
nobody can ask which tenants and platforms exist (spec section 4).
"""

import asyncio
from dataclasses import dataclass, field

from ingress.arrival import Arrival
from ingress.env import Env
from ingress.known import TENANT
from ingress.routes import Platform, Route, SecretUrl, Workspace, query
from ingress.target import Target
from schemas import names
from schemas.definitions.key import PREFIX, Permission, digest
from schemas.definitions.view import KeyView, Snapshot, SourceView
from schemas.errors import Overloaded, Refused, Transient
from schemas.reasons import Reason
from schemas.vendors import adapter
from schemas.wire.raw import Overrides

GENERIC = "generic"
NOT_FOUND = (
    "no open source is here for this tenant, or its URL was revoked; register the source, or post with an API key of "
    "the tenant that holds ingestion:write"
)
_REFRESH_S = 1.0
_NONE = Overrides()
_MAX_OVERRIDE = 512


@dataclass(frozen=True, slots=True)
class _Ask:
    """A request taken apart once; `named`: the X-Tenant-Id, `tenant`: whose source is meant; None = not said."""

    route: Route
    path: str
    named: str | None
    tenant: str | None
    source: str | None
    key: bytes | None = field(repr=False)
    overrides: Overrides = _NONE


async def find(route: Route, arrival: Arrival, env: Env) -> Target:
    """Return the target; raise `Refused(not_found|invalid_name|bad_request)`, or what registering raises."""
    snapshot = env.view.current()
    target = env.known.find(arrival, snapshot)
    if target is not None:
        return target
    ask = _ask(route, arrival, snapshot, env.default_tenant)
    target = _look(snapshot, ask)
    if target is not None and (ask.key is None or target.key is not None):
        env.known.remember(arrival, snapshot, target)
    else:
        snapshot = await _refreshed(env)
        ask = _ask(route, arrival, snapshot, env.default_tenant)
        target = _look(snapshot, ask) or await _register(snapshot, ask, env)
    if target is None and ask.tenant is None and isinstance(route, Platform):
        raise Refused(Reason.BAD_REQUEST, "name the tenant in the header X-Tenant-Id")
    if target is None:
        raise Refused(Reason.NOT_FOUND, NOT_FOUND)
    return target


def _ask(route: Route, arrival: Arrival, snapshot: Snapshot, default_tenant: str | None) -> _Ask:
    key = _key_digest(arrival.headers.by_name.get("authorization", ""))
    named = _named_tenant(arrival)
    if isinstance(route, SecretUrl):
        return _Ask(route, "", named, None, None, key)
    said = query(arrival.query)
    if isinstance(route, Workspace):
        return _Ask(route, arrival.path, named, route.workspace, None, key, _overrides(said))
    names.platform(route.platform)
    tenant = named
    if tenant is None and key is not None and key in snapshot.keys:
        tenant = snapshot.keys[key].tenant
    return _Ask(route, arrival.path, named, tenant or default_tenant, said.get("source"), key)


def _named_tenant(arrival: Arrival) -> str | None:
    first = arrival.headers.by_name.get(TENANT)
    if first is not None and any(value != first for name, value in arrival.headers.pairs if name.lower() == TENANT):
        raise Refused(Reason.BAD_REQUEST, "X-Tenant-Id is sent twice with different values")
    return first


def _look(snapshot: Snapshot, ask: _Ask) -> Target | None:
    key = snapshot.keys.get(ask.key) if ask.key is not None else None
    if isinstance(ask.route, SecretUrl):
        source_id, url_id = snapshot.by_url.get(digest(ask.route.token), ("", ""))
        source = snapshot.sources.get(source_id)
        path = f"/in/{url_id}"
    else:
        source, url_id, path = _named(snapshot, ask), "", ask.path
    if source is None or not _is_open(snapshot, source) or _is_foreign(source, key):
        return None
    if _disagrees(ask, source.tenant, key):
        return None
    return Target(
        source,
        adapter(source.platform),
        path,
        key,
        url_id or None,
        ask.overrides,
        object_only=isinstance(ask.route, Workspace),
    )


def _named(snapshot: Snapshot, ask: _Ask) -> SourceView | None:
    found = snapshot.by_platform.get((ask.tenant or "", _platform(ask.route)), ())
    if ask.source is not None:
        return next((source for source in found if source.name == ask.source), None)
    usable = [source for source in found if source.definition.enabled]
    if len(usable) > 1:
        own = [source for source in usable if isinstance(ask.route, Workspace) and source.name == GENERIC]
        if not own:
            raise Refused(
                Reason.BAD_REQUEST, "this tenant has several sources of the platform: add ?source=NAME to the URL"
            )
        return own[0]
    return usable[0] if usable else None


def _is_open(snapshot: Snapshot, source: SourceView) -> bool:
    return source.open and source.definition.enabled and source.tenant in snapshot.tenants


def _is_foreign(source: SourceView, key: KeyView | None) -> bool:
    return key is not None and source.definition.auth.type == "none" and key.tenant not in {None, source.tenant}


def _disagrees(ask: _Ask, tenant: str | None, key: KeyView | None) -> bool:
    """Tell whether X-Tenant-Id names another tenant than the URL or the key that came with it."""
    return ask.named is not None and (ask.named != tenant or (key is not None and key.tenant not in {None, ask.named}))


async def _register(snapshot: Snapshot, ask: _Ask, env: Env) -> Target | None:
    """Make the source of an unknown platform when a key of the tenant may; None when it may not (spec section 4)."""
    key = snapshot.keys.get(ask.key) if ask.key is not None else None
    tenant, platform = ask.tenant, _platform(ask.route)
    may = key is not None and Permission.INGESTION_WRITE in key.permissions and key.tenant in {None, tenant}
    if not may or key is None or tenant not in snapshot.tenants or ask.source is not None or not platform:
        return None
    if _disagrees(ask, tenant, key):
        return None
    if snapshot.by_platform.get((tenant, platform)):
        return None
    try:
        source = await env.registrar.register(tenant, platform, key)
    except Transient:
        raise Overloaded(Reason.BROKER_AWAY, env.admission.retry_after()) from None
    return Target(
        source,
        adapter(platform),
        ask.path,
        key,
        overrides=ask.overrides,
        object_only=isinstance(ask.route, Workspace),
    )


async def _refreshed(env: Env) -> Snapshot:
    try:
        async with asyncio.timeout(_REFRESH_S):
            return await env.view.refresh()
    except TimeoutError:
        return env.view.current()


def _platform(route: Route) -> str:
    if isinstance(route, Platform):
        return route.platform
    return GENERIC if isinstance(route, Workspace) else ""


def _key_digest(authorization: str) -> bytes | None:
    scheme, _, text = authorization.partition(" ")
    text = text.strip()
    return digest(text) if scheme.lower() == "bearer" and text.startswith(PREFIX) else None


def _overrides(said: dict[str, str]) -> Overrides:
    wanted = ("source", "event_type", "source_identifier", "dedupe_key")
    for name in wanted:
        if len(said.get(name, "")) > _MAX_OVERRIDE:
            raise Refused(Reason.BAD_REQUEST, f"query parameter {name} may have {_MAX_OVERRIDE} characters")
    return Overrides(*(said[name].encode("utf-8", "replace").decode() if said.get(name) else None for name in wanted))
