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
    """What a vendor allows itself and us; `overload`: the policy of its sources unless they say otherwise."""

    body_bytes: int
    answer_within_seconds: float
    retries_for_seconds: int
    overload: str
    overload_status: int


class Proof(Definition):
    """One way in which the vendor proves itself: where the proof stands and what it covers of a body."""

    scheme: str
    algorithm: str
    stands_in: str
    coverage: str
    tolerance_seconds: int | None


class Platform(Definition):
    """A vendor adapter; `auth` is the `auth.type` that a source of it takes by default, `needs` what goes with it.

    `ingestUrl` shows what a source's URL looks like here; the real one is answered once when the source is made.
    """

    name: str
    title: str
    docs: str
    auth: str
    needs: list[str]
    proofs: list[Proof]
    partitioning: str
    handshake: bool
    success_status: int
    ingest_url: str
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
    base = call.env.settings.public_ingest_url
    return Answer(paging.page([wire(VENDORS[name], base) for name in shown], shown[-1] if more else None))


async def get_platform(call: Call) -> Answer:
    """Show one vendor adapter."""
    vendor = VENDORS.get(call.named("name"))
    if vendor is None:
        raise Refused(Reason.NOT_FOUND, "no adapter of this name: such a platform is taken as generic")
    return Answer(wire(vendor, call.env.settings.public_ingest_url))


def wire(vendor: Vendor, base: str) -> dict[str, Any]:
    """Return an adapter as answered; `base`: the public address of the ingress, which the steps name."""
    keyed = not vendor.schemes and vendor.jwt is None
    return {
        "name": vendor.name,
        "title": vendor.title,
        "docs": vendor.docs,
        "auth": "none" if keyed else vendor.name,
        "needs": ["secrets"] if vendor.schemes else ["audience"] if vendor.jwt else [],
        "proofs": [_proof(scheme) for scheme in vendor.schemes] + ([_token(vendor, vendor.jwt)] if vendor.jwt else []),
        "partitioning": "source" if vendor.event_key is no_key else vendor.partitioning,
        "handshake": bool(vendor.handshakes),
        "successStatus": vendor.success.status,
        "ingestUrl": f"{base}/api/v1/webhooks/{vendor.name}" if keyed else f"{base}/in/…",
        "limits": {
            "bodyBytes": vendor.body_limit,
            "answerWithinSeconds": vendor.deadline_s,
            "retriesForSeconds": vendor.retry_span_s,
            "overload": vendor.overload,
            "overloadStatus": vendor.overload_status,
        },
        "setup": [step.replace("public_ingest_url", f"public_ingest_url (now {base})") for step in vendor.setup],
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
