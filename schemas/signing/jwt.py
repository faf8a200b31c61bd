"""Bearer tokens that prove a sender: signed JWTs (RFC 7519, RFC 8725), judged against keys that are here already.

Lives here: the checks and their order. Not here: reading keys (jwk.py), fetching them (ingress/jwks.py). Signatures are
PyJWT's; times and names are checked here, because PyJWT's own checks take no clock. What a token says of keys (`jku`,
`x5u`, `jwk`, `x5c`) is never looked at. Total: a verdict, whatever is sent.
"""

import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from jwt import PyJWS
from jwt.exceptions import PyJWTError

from schemas.reasons import Reason
from schemas.signing.jwk import MAX_KID, TokenKey
from schemas.signing.scheme import Coverage, Invalid, SignedRequest, Valid, Verdict
from schemas.signing.template import header

HEADER = "Authorization"
MAX_TOKEN = 8192
MAX_TRIED = 8
"""Keys that are tried for one token, when it does not say which one made it."""
ANY = "*"
"""A required claim's value that is met by every value."""
_UNREADABLE = (PyJWTError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
_JWS = PyJWS()
Value = str | int | bool


@dataclass(frozen=True, slots=True)
class TokenRule:
    """What a token must say; `name` is how records call the scheme.

    required: claims with the values of which one must be there (ANY: whatever it is). claim_in_body: a claim that must
    equal a member of the body (names on the way to it); endorsed_by: the member that must be among the key's
    endorsements; body_hash: the claim that holds the body's SHA-256, which makes the coverage full.
    """

    name: str
    issuer: str
    audiences: frozenset[str]
    algorithms: frozenset[str]
    leeway_s: int
    required: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    claim_in_body: tuple[str, tuple[str, ...]] | None = None
    endorsed_by: tuple[str, ...] | None = None
    body_hash: str | None = None

    @property
    def coverage(self) -> Coverage:
        """Return what of a body the token covers."""
        return "none" if self.body_hash is None else "full"


def verify(rule: TokenRule, keys: Sequence[TokenKey], request: SignedRequest, now_s: float) -> Verdict:
    """Judge a request's token at `now_s` (epoch seconds); `Valid.secret` is the index of the key. Never raises.

    A key that is not known is only told where the token says nothing else that is wrong: it may be a new one.
    """
    token = _token(request)
    if isinstance(token, Reason):
        return Invalid(token)
    said = _apart(token)
    if said is None:
        return Invalid(Reason.TOKEN_MALFORMED)
    algorithm, kid, claims, signature = said
    if algorithm not in rule.algorithms:
        return Invalid(Reason.TOKEN_ALGORITHM)
    fault = _fault(rule, claims, now_s)
    candidates = _candidates(keys, algorithm, kid)
    if not candidates:
        return Invalid(fault or Reason.TOKEN_KEY_UNKNOWN)
    message = token.rpartition(b".")[0]
    index = next((one for one in candidates if _signs(keys[one], algorithm, message, signature)), None)
    if index is None:
        return Invalid(Reason.TOKEN_MISMATCH)
    fault = fault or _foreign(rule, claims, keys[index], request)
    return Valid(index, rule.coverage) if fault is None else Invalid(fault)


def unproven(request: SignedRequest) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return what a request's token says, header and claims, to tell a person; None for none. It proves nothing."""
    token = _token(request)
    said = None if isinstance(token, Reason) else _apart(token)
    return None if said is None else ({"alg": said[0], "kid": said[1]}, said[2])


def _apart(token: bytes) -> tuple[str, str | None, dict[str, Any], bytes] | None:
    """Take a token apart: algorithm, key id, claims, signature. Nothing of it is believed yet."""
    try:
        said = _JWS.decode_complete(token, options={"verify_signature": False})
        return *_head(said["header"]), _claims(said["payload"]), said["signature"]
    except _UNREADABLE:
        return None


def _token(request: SignedRequest) -> bytes | Reason:
    kind, _, text = (header(request, HEADER) or "").partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        return Reason.TOKEN_MISSING
    text = text.strip()
    if len(text) > MAX_TOKEN or not text.isascii():
        return Reason.TOKEN_MALFORMED
    return text.encode()


def _head(said: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return algorithm and key id; a header that demands something of us (`crit`, `b64`) is not understood."""
    algorithm, kid = said["alg"], said.get("kid")
    if "crit" in said or "b64" in said or not isinstance(algorithm, str):
        raise ValueError
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID):
        raise ValueError
    return algorithm, kid


def _claims(payload: bytes) -> dict[str, Any]:
    claims = orjson.loads(payload)
    if not isinstance(claims, dict):
        raise TypeError
    return claims


def _candidates(keys: Sequence[TokenKey], algorithm: str, kid: str | None) -> list[int]:
    """Return the places of the keys that may have made a token: those it names, else those without a name.

    A token that names none may be of any key, as long as these are few.
    """
    fits = [place for place, key in enumerate(keys) if algorithm in key.algorithms]
    if kid is None:
        return fits if len(fits) <= MAX_TRIED else []
    named = [place for place in fits if keys[place].kid == kid]
    return (named or [place for place in fits if keys[place].kid is None])[:MAX_TRIED]


def _signs(key: TokenKey, algorithm: str, message: bytes, signature: bytes) -> bool:
    """Tell whether a key signed; `algorithm` is one of the rule's and the key's own, not the token's choice alone."""
    try:
        return _JWS.get_algorithm_by_name(algorithm).verify(message, key.material, signature)
    except _UNREADABLE:
        return False


def _fault(rule: TokenRule, claims: Mapping[str, Any], now_s: float) -> Reason | None:
    """Check what the token says of itself: RFC 7519 section 4.1, then the claims that the rule requires."""
    if claims.get("iss") != rule.issuer:
        return Reason.TOKEN_ISSUER
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(one, str) and one in rule.audiences for one in named):
        return Reason.TOKEN_AUDIENCE
    late = _time_fault(claims, now_s, rule.leeway_s)
    if late is not None:
        return late
    met = all(meets(claims.get(name), wanted) for name, wanted in rule.required)
    return None if met else Reason.TOKEN_CLAIM


def _time_fault(claims: Mapping[str, Any], now_s: float, leeway_s: int) -> Reason | None:
    """Check the times: a token must end; at `exp` it has ended, at `nbf` it has begun."""
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    if "exp" not in times or not all(_is_time(value) for value in times.values()):
        return Reason.TOKEN_CLAIM
    if times["exp"] <= now_s - leeway_s:
        return Reason.TOKEN_EXPIRED
    begins = max(times.get("nbf", -math.inf), times.get("iat", -math.inf))
    return Reason.TOKEN_NOT_YET_VALID if begins > now_s + leeway_s else None


def _is_time(value: object) -> bool:
    """Tell whether a value is a number; the parser lets neither NaN nor infinities in."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def meets(said: object, wanted: Sequence[Value]) -> bool:
    """Tell whether a claim, or one of its values where it is a list, is one of those wanted; true is not 1."""
    if said is None:
        return False
    given = said if isinstance(said, list) else [said]
    return ANY in wanted or any(type(one) is type(each) and one == each for one in given for each in wanted)


def _foreign(rule: TokenRule, claims: Mapping[str, Any], key: TokenKey, request: SignedRequest) -> Reason | None:
    """Check what ties a proven token to this body; None when the rule ties nothing."""
    if rule.body_hash is not None and not _hashes(claims.get(rule.body_hash), request.body):
        return Reason.TOKEN_BODY
    if rule.claim_in_body is None and rule.endorsed_by is None:
        return None
    try:
        body = orjson.loads(request.body)
    except ValueError:
        return Reason.TOKEN_BODY
    if rule.endorsed_by is not None and _at(body, rule.endorsed_by) not in (key.endorsements or ()):
        return Reason.TOKEN_BODY
    if rule.claim_in_body is not None:
        name, path = rule.claim_in_body
        said = claims.get(name)
        if not isinstance(said, str) or said != _at(body, path):
            return Reason.TOKEN_BODY
    return None


def _hashes(said: object, body: bytes | bytearray | memoryview) -> bool:
    """Tell whether a claim is the body's SHA-256 as hex or as base64 of either alphabet."""
    if not isinstance(said, str) or not said.isascii():
        return False
    made = hashlib.sha256(body).digest()
    if hmac.compare_digest(made.hex().encode(), said.lower().encode()):
        return True
    try:
        text = said.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
        return hmac.compare_digest(made, base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, ValueError):
        return False


def _at(value: Any, path: Sequence[str]) -> str | None:  # noqa: ANN401 JSON
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None
