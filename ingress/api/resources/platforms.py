"""`/platforms`: every vendor adapter with its auth, limits and set-up steps. Read-only, for any key."""

from typing import Any

from ingress.api import paging
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Route, Scope
from schemas.definitions.base import Definition
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.signing import Scheme, jwt
from schemas.vendors import VENDORS
from schemas.vendors.base import JwtRule, Vendor, no_key


class Limits(Definition):
    """What a vendor allows itself and us."""

    body_bytes: int
    answer_within_seconds: float
    retries_for_seconds: int


class Proof(Definition):
    """One way in which the vendor proves itself: where the proof stands and what it covers of a body."""

    scheme: str
    algorithm: str
    stands_in: str
    coverage: str
    tolerance_seconds: int | None


class Platform(Definition):
    """A vendor adapter; `auth` is the `auth.type` that a source of it takes by default, `needs` what goes with it."""

    name: str
    title: str
    docs: str
    auth: str
    needs: list[str]
    proofs: list[Proof]
    partitioning: str
    handshake: bool
    success_status: int
    limits: Limits
    setup: list[str]


class PlatformPage(Definition):
    """One page of platforms."""

    items: list[Platform]
    next_cursor: str | None


async def list_platforms(call: Call) -> Answer:
    """List the vendor adapters, by name."""
    after = call.cursor or ""
    names = sorted(name for name in VENDORS if name > after)
    shown, more = names[: call.limit], len(names) > call.limit
    return Answer(paging.page([_wire(VENDORS[name]) for name in shown], shown[-1] if more else None))


async def get_platform(call: Call) -> Answer:
    """Show one vendor adapter."""
    vendor = VENDORS.get(call.named("name"))
    if vendor is None:
        raise Refused(Reason.NOT_FOUND, "no adapter of this name: such a platform is taken as generic")
    return Answer(_wire(vendor))


def _wire(vendor: Vendor) -> dict[str, Any]:
    return {
        "name": vendor.name,
        "title": vendor.title,
        "docs": vendor.docs,
        "auth": vendor.name if vendor.schemes or vendor.jwt else "none",
        "needs": ["secrets"] if vendor.schemes else ["audience"] if vendor.jwt else [],
        "proofs": [_proof(scheme) for scheme in vendor.schemes] + ([_token(vendor, vendor.jwt)] if vendor.jwt else []),
        "partitioning": "source" if vendor.event_key is no_key else vendor.partitioning,
        "handshake": bool(vendor.handshakes),
        "successStatus": vendor.success.status,
        "limits": {
            "bodyBytes": vendor.body_limit,
            "answerWithinSeconds": vendor.deadline_s,
            "retriesForSeconds": vendor.retry_span_s,
        },
        "setup": list(vendor.setup),
    }


def _proof(scheme: Scheme) -> dict[str, Any]:
    return {
        "scheme": scheme.name,
        "algorithm": scheme.algorithm,
        "standsIn": scheme.stands_in,
        "coverage": scheme.coverage,
        "toleranceSeconds": None if scheme.freshness is None else scheme.freshness.past_s,
    }


def _token(vendor: Vendor, rule: JwtRule) -> dict[str, Any]:
    return {
        "scheme": vendor.name,
        "algorithm": ", ".join(rule.algorithms),
        "standsIn": f"the header {jwt.HEADER}",
        "coverage": rule.coverage,
        "toleranceSeconds": rule.leeway_s,
    }


ROUTES = (
    Route("GET", "/platforms", list_platforms, "List vendor adapters", None, PlatformPage, query=shapes.PAGE,
          scope=Scope.SERVER),
    Route("GET", "/platforms/{name}", get_platform, "Show a vendor adapter", None, Platform, scope=Scope.SERVER),
)  # fmt: skip
