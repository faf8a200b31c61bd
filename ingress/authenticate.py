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


def remedy(target: Target, reason: Reason) -> str:
    """Say in words what the sender or the source's owner should do; nothing of a secret, nothing that was expected."""
    kind = target.source.definition.auth.type
    if reason is Reason.FORBIDDEN:
        return "the API key lacks the permission ingestion:write"
    vendor = VENDORS.get(kind)
    if vendor is None or vendor.auth is None:
        if kind == "url":
            return "post to the source's secret URL (/in/…): for this source that URL is the credential"
        return "send `Authorization: Bearer hbk_…` with an API key of this tenant that holds ingestion:write"
    header, fresh = vendor.auth.container.header, vendor.auth.freshness
    texts = {
        Reason.SIGNATURE_MISSING: f"send the header {header}: this source takes what {vendor.title} signed",
        Reason.SIGNATURE_MALFORMED: f"the header {header} cannot be read: see {vendor.docs}",
        Reason.SIGNATURE_MISMATCH: "no secret of this source gives this signature over the bytes received: check that "
        "the secret is this source's, and that nothing on the way encodes the body anew",
        Reason.NO_SECRET: "the source has no secret: its owner adds one with POST /api/v1/sources/{id}/secrets",
    }
    if fresh is not None:
        texts |= {
            Reason.TIMESTAMP_MISSING: f"the signed time is missing or no number: it stands in {fresh.name}",
            Reason.TIMESTAMP_STALE: f"signed over {fresh.past_s} s ago: check the sender's clock, sign retries anew",
            Reason.TIMESTAMP_FUTURE: f"signed over {fresh.future_s} s ahead of our time: check the sender's clock",
        }
    return texts.get(reason, reason.text)
