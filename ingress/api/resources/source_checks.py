"""What a source's definition must meet beyond its own shape: auth this release takes, pins that exist.

Pure but for the registry's snapshot, which is asked again once when a pin is not in it.
"""

from ingress.api.call import Call
from ingress.api.resources.shapes import refuse
from schemas.definitions.auth import LATER, NOT_PRESETS
from schemas.definitions.auth_any import KINDS
from schemas.definitions.auth_free import FreeAuth
from schemas.definitions.source import SourceDefinition
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.vendors import VENDORS
from schemas.vendors.base import Vendor, no_key


def check_auth(definition: SourceDefinition, *, has_secrets: bool) -> None:
    """Refuse an auth type of a later release or of no vendor, and a preset without any secret."""
    auth = definition.auth
    if auth.type in LATER:
        raise refuse("/auth/type", f"{auth.type!r} is not taken by this release", Reason.UNSUPPORTED)
    if auth.type in NOT_PRESETS:
        if auth.secrets:
            raise refuse("/auth/secrets", f"auth type {auth.type!r} has no secrets")
        return
    if isinstance(auth, FreeAuth):
        _check_secrets(definition, "the source", has_secrets=has_secrets)
        return
    vendor = VENDORS.get(auth.type)
    if vendor is not None and vendor.jwt is not None and not vendor.schemes:
        detail = f"{vendor.title} proves itself by a token of {vendor.jwt.issuer}, which this release does not check"
        raise refuse("/auth/type", f"{detail}: use url, and keep the source's secret URL secret", Reason.UNSUPPORTED)
    if vendor is None or vendor.auth is None:
        known = ", ".join(sorted(name for name, each in VENDORS.items() if each.auth is not None))
        free = ", ".join(KINDS)
        raise refuse("/auth/type", f"{auth.type!r} is not known: use {known}, {free}, url or none")
    _check_secrets(definition, f"a {vendor.title} source", has_secrets=has_secrets)


def _check_secrets(definition: SourceDefinition, whose: str, *, has_secrets: bool) -> None:
    auth = definition.auth
    if not auth.secrets and not has_secrets:
        raise refuse("/auth/secrets", f"{whose} needs at least one secret: without it nothing verifies")
    for index, secret in enumerate(auth.secrets):
        if sum(part is not None for part in (secret.value, secret.from_env, secret.from_file)) != 1:
            raise refuse(f"/auth/secrets/{index}", "give the text, or one of fromEnv and fromFile")


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
