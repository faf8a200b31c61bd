"""Who sent it: the source's own auth over the bytes as received (spec section 6). Total: a verdict, never an exception.

Lives here: which way a source's auth type goes: schemes (presets and what users say themselves), `url`, `none` with an
API key. The MACs themselves: schemas/signing.
"""

from ingress import jwt, mtls
from ingress.jwks import KeySource, NoKeys
from ingress.mtls import NOBODY, Client
from ingress.target import Target
from schemas.definitions.auth_jwt import TokenAuth
from schemas.definitions.auth_mtls import MtlsAuth
from schemas.definitions.key import Permission
from schemas.reasons import Reason
from schemas.signing import Invalid, Scheme, SignedRequest, Valid, judge
from schemas.vendors import VENDORS
from schemas.wire.raw import AuthResult

_NO_KEYS = NoKeys()


def authenticate(
    target: Target, request: SignedRequest, now_s: float, keys: KeySource = _NO_KEYS, client: Client = NOBODY
) -> AuthResult | Invalid:
    """Judge a request for a target at `now_s`; `AuthResult` names the scheme, its coverage and the secret's id.

    `keys`: the key sets of token issuers that are at hand; `client`: the certificate that the request came with.
    """
    if target.proof != "signature":
        return _unsigned(target, request, now_s, keys, client)
    prepared = target.prepared
    if not prepared:
        return Invalid(Reason.UNAUTHENTICATED)
    scheme, verdict = judge(prepared, request, now_s)
    if isinstance(verdict, Valid):
        return AuthResult(scheme.name, verdict.coverage, target.source.secrets[verdict.secret].id)
    return verdict


def _unsigned(
    target: Target, request: SignedRequest, now_s: float, keys: KeySource, client: Client
) -> AuthResult | Invalid:
    auth = target.source.definition.auth
    if isinstance(auth, TokenAuth):
        return jwt.judge(auth, target.source, request, now_s, keys)
    if isinstance(auth, MtlsAuth):
        return mtls.judge(auth, client, now_s)
    if target.proof == "key":
        return _by_key(target)
    if target.url_id is None:
        return Invalid(Reason.UNAUTHENTICATED)
    return AuthResult("url", "none", target.url_id)


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
    auth = target.source.definition.auth
    if isinstance(auth, TokenAuth):
        return jwt.remedy(auth, reason)
    schemes = target.schemes
    if not schemes:
        if kind == "mtls":
            return mtls.remedy(reason)
        if kind == "url":
            return "post to the source's secret URL (/in/…): for this source that URL is the credential"
        return "send `Authorization: Bearer hbk_…` with an API key of this tenant that holds ingestion:write"
    where = " or ".join(dict.fromkeys(scheme.stands_in for scheme in schemes))
    fresh = next((scheme.freshness for scheme in schemes if scheme.freshness is not None), None)
    vendor = VENDORS.get(kind)
    signed = "what its auth says" if vendor is None else f"what {vendor.title} signed"
    docs = "the source's auth" if vendor is None else vendor.docs
    texts = {
        Reason.SIGNATURE_MISSING: f"send {where}: this source takes {signed}",
        Reason.SIGNATURE_MALFORMED: f"{where} cannot be read, or what it signs is not there: see {docs}",
        Reason.SIGNATURE_MISMATCH: _mismatch(schemes[0]),
        Reason.NO_SECRET: "the source has no secret that can be used: its owner adds one with "
        "POST /api/v1/sources/{id}/secrets",
    }
    if fresh is not None:
        texts |= {
            Reason.TIMESTAMP_MISSING: f"the signed time is missing or cannot be read: it stands in {fresh.name}",
            Reason.TIMESTAMP_STALE: f"signed over {fresh.past_s} s ago: check the sender's clock, sign retries anew",
            Reason.TIMESTAMP_FUTURE: f"signed over {fresh.future_s} s ahead of our time: check the sender's clock",
        }
    return texts.get(reason, reason.text)


def _mismatch(scheme: Scheme) -> str:
    if scheme.algorithm == "token":
        return "what was sent is no secret of this source: check that both sides hold the same text"
    url = (
        ", that public_ingest_url is the address the sender calls (https, host, port)"
        if "{url}" in scheme.message
        else ""
    )
    return (
        "no secret of this source gives this signature over the bytes received: check that the secret is this "
        f"source's{url}, and that nothing on the way encodes the body anew"
    )
