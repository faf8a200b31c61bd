"""Who sent it: the source's own auth over the bytes as received (spec section 6). Total: a verdict, never an exception.

Lives here: the three kinds of this release (a vendor's preset, `url`, `none` with an API key). The MACs themselves:
schemas/signing.
"""

from ingress.resolve import Target
from schemas.definitions.key import Permission
from schemas.reasons import Reason
from schemas.signing import Invalid, SignedRequest, Valid, verify
from schemas.vendors import VENDORS
from schemas.wire.raw import AuthResult


def authenticate(target: Target, request: SignedRequest, now_s: float) -> AuthResult | Invalid:
    """Judge a request for a target at `now_s`; `AuthResult` names the scheme, its coverage and the secret's id."""
    kind = target.source.definition.auth.type
    if kind == "url":
        if target.url_id is None:
            return Invalid(Reason.UNAUTHENTICATED)
        return AuthResult("url", "none", target.url_id)
    if kind == "none":
        return _by_key(target)
    vendor = VENDORS.get(kind)
    if vendor is None or vendor.auth is None:
        return Invalid(Reason.UNAUTHENTICATED)
    secrets = target.source.secrets
    verdict = verify(vendor.auth, request, [secret.value for secret in secrets], now_s)
    if isinstance(verdict, Valid):
        return AuthResult(vendor.auth.name, vendor.auth.coverage, secrets[verdict.secret].id)
    return verdict


def _by_key(target: Target) -> AuthResult | Invalid:
    key = target.key
    if key is None or key.tenant not in {None, target.source.tenant}:
        return Invalid(Reason.UNAUTHENTICATED)
    if Permission.INGESTION_WRITE not in key.permissions:
        return Invalid(Reason.FORBIDDEN)
    return AuthResult("key", "none", key.id)
