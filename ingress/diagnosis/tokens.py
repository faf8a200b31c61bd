"""What a refused token says that its source does not take, in words for the source's owner.

Lives here: reading a token as it claims to be, and comparing. Nothing is believed of it and no signature is looked at,
so nothing here is certain. Of the claims only issuer, audience and times are repeated, cut short.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ingress.diagnosis.causes import Cause, Finding
from schemas.definitions.auth_jwt import TokenAuth
from schemas.definitions.key import PREFIX
from schemas.reasons import Reason
from schemas.signing import Invalid, SignedRequest, template
from schemas.signing.jwt import HEADER, TokenRule, meets, unproven, verify

_CUT = 100
_ENCRYPTED_DOTS = 4
_TIMES = frozenset({Reason.TOKEN_EXPIRED, Reason.TOKEN_NOT_YET_VALID})


def explain(auth: TokenAuth, request: SignedRequest, now_s: float) -> tuple[Finding, ...]:
    """Return what of a token's own words is not what its source takes; () where they are right."""
    rule = auth.rule()
    verdict = verify(rule, (), request, now_s)
    if not isinstance(verdict, Invalid):
        return ()
    said = unproven(request)
    words = _shape(request) if said is None else _said(rule, verdict.reason, said[0], said[1], now_s)
    return tuple(Finding(Cause.TOKEN, one, certain=False) for one in words)


def _shape(request: SignedRequest) -> Iterator[str]:
    """Say what it is that was sent in place of a token."""
    kind, _, text = (template.header(request, HEADER) or "").partition(" ")
    text = text.strip()
    if kind.startswith("eyJ"):
        yield "the header holds a token without the word Bearer before it: send `Authorization: Bearer` and the token"
    elif text.startswith(PREFIX):
        yield "this is an API key of this server: the source takes tokens of its issuer"
    elif text.count(".") == _ENCRYPTED_DOTS:
        yield "this token is encrypted (five parts): ask the issuer for one that is signed alone"
    elif text[:1] in {'"', "'", "<", "{"}:
        yield "the token stands in quotes or brackets: send it bare"
    elif kind.lower() == "bearer" and text.count(".") != 2:  # noqa: PLR2004 a compact token has three parts
        yield "this is no JWT (three parts with two dots): an opaque access token cannot be checked here"


def _said(
    rule: TokenRule, reason: Reason, head: Mapping[str, Any], claims: Mapping[str, Any], now_s: float
) -> Iterator[str]:
    if reason is Reason.TOKEN_ALGORITHM:
        allowed = ", ".join(sorted(rule.algorithms))
        yield f"the token is signed with {_shown(head.get('alg'))}; the source takes {allowed}"
    issuer = claims.get("iss")
    if issuer != rule.issuer:
        differs = _nearly(issuer, rule.issuer)
        yield f"the token's iss is {_shown(issuer)}; the source takes {_shown(rule.issuer)}{differs}"
    audience = claims.get("aud")
    if not rule.audiences.intersection(one for one in _many(audience) if isinstance(one, str)):
        wanted = " or ".join(_shown(one) for one in sorted(rule.audiences))
        yield f"the token's aud is {_shown(audience)}; the source takes {wanted}"
    if reason in _TIMES:
        yield _when(claims, now_s)
    missing = [name for name, wanted in rule.required if not meets(claims.get(name), wanted)]
    if "exp" not in claims:
        missing.append("exp")
    if missing:
        yield f"the source requires what the token does not say, or says otherwise: {', '.join(missing)[:300]}"
    if reason is Reason.TOKEN_KEY_UNKNOWN:
        yield (
            f"what the token says is right: look at its key, {_shown(head.get('kid'))} (is it the issuer's, is it "
            "known here?), at its signature, and whether the body is the one it was made for"
        )


def _many(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _nearly(said: object, wanted: str) -> str:
    """Name the differences of issuers that people overlook."""
    if not isinstance(said, str):
        return ""
    if said.rstrip("/") == wanted.rstrip("/"):
        return ": they differ in the slash at the end"
    if said.lower() == wanted.lower():
        return ": they differ in upper and lower case"
    both = {one.partition("://")[2].partition("/")[0] for one in (said, wanted)}
    if both == {"sts.windows.net", "login.microsoftonline.com"}:
        return ": Microsoft Entra ID makes tokens of version 1 and 2, with two issuers and two key sets"
    return ""


def _when(claims: Mapping[str, Any], now_s: float) -> str:
    if claims["exp"] <= now_s:
        return f"the token ended at {_moment(claims['exp'])}, {_span(now_s - claims['exp'])} before the request"
    begins = max(claims.get("nbf", 0), claims.get("iat", 0))
    return f"the token begins at {_moment(begins)}, {_span(begins - now_s)} after the request: check the sender's clock"


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return "a time out of all bounds"


def _span(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {name}"
    return f"{max(seconds, 0):.0f} s"


def _shown(value: object) -> str:
    return repr(value)[:_CUT]
