"""What a source's definition must meet beyond its own shape: auth this release takes, pins that exist.

Pure but for the registry's snapshot, which is asked again once when a pin is not in it.
"""

from ingress import certificate
from ingress.api.call import Call
from ingress.api.resources.shapes import refuse
from schemas.backing.egress import Guard
from schemas.definitions.auth import NOT_PRESETS, Auth
from schemas.definitions.auth_any import KINDS
from schemas.definitions.auth_free import FreeAuth
from schemas.definitions.auth_jwt import TokenAuth
from schemas.definitions.auth_mtls import MtlsAuth
from schemas.definitions.source import SourceDefinition
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.signing import jwk
from schemas.vendors import VENDORS
from schemas.vendors.base import Vendor, no_key


def check_auth(definition: SourceDefinition, guard: Guard, *, has_secrets: bool) -> None:
    """Refuse an auth type of no vendor, a preset without any secret, a key set that may not be called."""
    auth = definition.auth
    if auth.type in NOT_PRESETS:
        if auth.secrets:
            raise refuse("/auth/secrets", f"auth type {auth.type!r} has no secrets")
        if isinstance(auth, MtlsAuth):
            _check_certificates(auth)
        return
    if isinstance(auth, FreeAuth):
        _check_secrets(definition, "the source", has_secrets=has_secrets)
        return
    if isinstance(auth, TokenAuth):
        refused = None if auth.jwks_url is None else guard.refusal(auth.jwks_url)
        if refused is not None:
            raise refuse("/auth/jwksUrl", refused)
        if auth.shared:
            _check_secrets(definition, "a source whose tokens are signed with HS*", has_secrets=has_secrets)
        return
    vendor = VENDORS.get(auth.type)
    if vendor is None or vendor.auth is None:
        known = ", ".join(sorted(name for name, each in VENDORS.items() if each.auth is not None))
        free = ", ".join(KINDS)
        raise refuse("/auth/type", f"{auth.type!r} is not known: use {known}, {free}, url or none")
    _check_secrets(definition, f"a {vendor.title} source", has_secrets=has_secrets)


def keeps_secrets(before: Auth, after: Auth) -> bool:
    """Tell whether the stored secrets of a source go on to prove its senders when its auth changes."""
    used = before.shared if isinstance(before, TokenAuth) else True
    return before.type == after.type and used


def check_secret(auth: Auth, value: bytes) -> None:
    """Refuse a further secret where none is used, and one that is too weak for the source's tokens."""
    if auth.type in NOT_PRESETS or (isinstance(auth, TokenAuth) and not auth.shared):
        raise refuse("/secret", f"a source of auth type {auth.type!r} as this one has no secrets")
    weak = jwk.weakness(value, min(auth.rule().algorithms)) if isinstance(auth, TokenAuth) else None
    if weak:
        raise refuse("/secret", weak)


def _check_secrets(definition: SourceDefinition, whose: str, *, has_secrets: bool) -> None:
    auth = definition.auth
    if not auth.secrets and not has_secrets:
        raise refuse("/auth/secrets", f"{whose} needs at least one secret: without it nothing verifies")
    for index, secret in enumerate(auth.secrets):
        if sum(part is not None for part in (secret.value, secret.from_env, secret.from_file)) != 1:
            raise refuse(f"/auth/secrets/{index}", "give the text, or one of fromEnv and fromFile")


def _check_certificates(auth: MtlsAuth) -> None:
    for index, subject in enumerate(auth.subjects):
        try:
            certificate.attributes(subject)
        except ValueError as exc:
            raise refuse(f"/auth/subjects/{index}", str(exc)) from None
    try:
        if auth.ca is not None:
            certificate.authorities(auth.ca)
    except ValueError as exc:
        raise refuse("/auth/ca", str(exc)) from None


def partitioning(definition: SourceDefinition, vendor: Vendor) -> str:
    """Return how the source is partitioned, for ever; refuse `event` where no delivery has an id."""
    wanted = definition.partitioning or vendor.partitioning
    if wanted == "event" and vendor.event_key is no_key:
        raise refuse("/partitioning", f"{vendor.title} deliveries carry no id of their own: use source")
    return wanted


async def check_pins(call: Call, definition: SourceDefinition) -> None:
    """Refuse pins of versions that do not exist."""
    known = call.env.view.current().schemas
    if any((call.tenant, pin) not in known for pin in definition.pins.values()):
        known = (await call.env.view.refresh()).schemas
    missing = tuple(
        (f"/pins/{_escape(glob)}", f"there is no schema version {pin}: add it under /api/v1/schemas first")
        for glob, pin in definition.pins.items()
        if (call.tenant, pin) not in known
    )
    if missing:
        detail = "; ".join(f"{pointer}: {message}" for pointer, message in missing[:5])
        raise Refused(Reason.INVALID_DEFINITION, detail, errors=missing[:50])


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
