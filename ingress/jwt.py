"""Sources whose senders bring a token: which keys count for it, and words for whoever was refused.

Lives here: from a source's auth to the rule and the keys. Not here: the checks (schemas/signing/jwt.py), when key sets
are read (jwks.py). Total: what is not there refuses.
"""

from ingress.jwks import KeySets, KeySource
from schemas.definitions.auth_jwt import TokenAuth
from schemas.definitions.view import SourceView
from schemas.reasons import Reason
from schemas.signing import Invalid, SignedRequest, Valid, jwk
from schemas.signing.jwk import TokenKey
from schemas.signing.jwt import verify
from schemas.wire.raw import AuthResult

RENEWABLE = frozenset({Reason.TOKEN_KEY_UNKNOWN, Reason.TOKEN_KEYS_AWAY})
"""Refusals that a newer key set may take back."""


def judge(
    auth: TokenAuth, source: SourceView, request: SignedRequest, now_s: float, keys: KeySource
) -> AuthResult | Invalid:
    """Judge a request's token by the keys at hand; `AuthResult` names the secret, else the key's id."""
    held = _keys(auth, source, keys)
    verdict = verify(auth.rule(), held or (), request, now_s)
    if isinstance(verdict, Valid):
        return AuthResult(auth.rule().name, verdict.coverage, (held or ())[verdict.secret].id)
    if verdict.reason is Reason.TOKEN_KEY_UNKNOWN and not held:
        if auth.shared:
            return Invalid(Reason.NO_SECRET)
        return Invalid(Reason.TOKEN_KEYS_AWAY) if held is None else verdict
    return verdict


def _keys(auth: TokenAuth, source: SourceView, keys: KeySource) -> tuple[TokenKey, ...] | None:
    """Return the keys that may judge; None when the issuer's are not known."""
    if auth.shared:
        made = (jwk.from_secret(secret.id, secret.value) for secret in source.secrets)
        return tuple(one for one in made if one is not None)
    url = auth.keys_url()
    return auth.pinned() if url is None else keys.keys(url)


async def renewed(source: SourceView, sets: KeySets) -> bool:
    """Read a source's key set anew where that is allowed; True when the token is worth another look."""
    url = _url(source)
    return url is not None and await sets.renewed(url)


def final(proof: AuthResult | Invalid, source: SourceView, sets: KeySets) -> AuthResult | Invalid:
    """Return the verdict that stands: a key is only called unknown when the issuer could be asked."""
    url = _url(source)
    unknown = isinstance(proof, Invalid) and proof.reason is Reason.TOKEN_KEY_UNKNOWN
    if unknown and url is not None and sets.failing(url):
        return Invalid(Reason.TOKEN_KEYS_AWAY)
    return proof


def _url(source: SourceView) -> str | None:
    auth = source.definition.auth
    return auth.keys_url() if isinstance(auth, TokenAuth) else None


def remedy(auth: TokenAuth, reason: Reason) -> str:
    """Say in words what the sender or the source's owner should do; nothing of what was expected."""
    rule = auth.rule()
    texts = {
        Reason.TOKEN_MISSING: "send the header Authorization: Bearer and a signed JWT",
        Reason.TOKEN_MALFORMED: "send a signed JWT in its compact form (three parts, RFC 7515) of at most 8 KiB, "
        "without a crit header",
        Reason.TOKEN_ALGORITHM: "sign the token with " + " or ".join(n for n in jwk.ALGORITHMS if n in rule.algorithms),
        Reason.TOKEN_KEY_UNKNOWN: "the key id (kid) of the token is none of the issuer's: sign with a key that it "
        "publishes, and name it; a new key is seen within a minute"
        if auth.keys_url()
        else "the key id (kid) of the token is none of the source's: its owner adds the key to auth.keys",
        Reason.TOKEN_MISMATCH: "the token was changed on its way, or signed with another key than its kid says",
        Reason.TOKEN_EXPIRED: f"send a new token: this one ended over {rule.leeway_s} s ago; or a clock is wrong",
        Reason.TOKEN_NOT_YET_VALID: f"the token begins more than {rule.leeway_s} s from now: check the sender's clock",
        Reason.TOKEN_ISSUER: "the token's iss is not the issuer of this source: compare both to the letter, the slash "
        "at the end included",
        Reason.TOKEN_AUDIENCE: "the token's aud names no audience of this source: ask the issuer for one that does",
        Reason.TOKEN_CLAIM: "a token needs exp, times that are numbers, and the claims that the source requires",
        Reason.TOKEN_BODY: "the token belongs to another body: send both as they were made, unchanged",
        Reason.TOKEN_KEYS_AWAY: "try again later; if it stays so, the source's owner checks auth.jwksUrl, that this "
        "server may call it (settings egress_*), and the log entry key_set_not_read",
        Reason.NO_SECRET: "the source has no secret that can be used: its owner adds one of at least "
        "32 bytes with POST /api/v1/sources/{id}/secrets",
    }
    return texts.get(reason, reason.text)
