"""Signed requests of real vendors, and what becomes of them when somebody makes a mistake."""

from collections.abc import Mapping

from msgspec.structs import replace

from ingress.diagnosis import Budget, Case, Cause, Finding, Secret, diagnose
from schemas.signing import Scheme, SignedRequest, sign
from schemas.vendors import VENDORS

NOW = 1_750_000_000
PUBLIC = "https://hooks.example.com"
URL = f"{PUBLIC}/in/t0ken-of-the-source?a=1"
BODY = '{"id":"evt_1","type":"paid","amount":1.50,"who":"Zoë <z@example.com>","path":"a/b","list":[1,2]}'.encode()
SECRETS = {
    "standardwebhooks": b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "svix": b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "stripe": b"whsec_s3cret-of-stripe",
    "adyen-platform": b"44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
    "teams-outgoing": b"czNjcmV0LW9mLXRlYW1z",
}
IDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "standardwebhooks": (("webhook-id", "msg_1"),),
    "svix": (("svix-id", "msg_1"),),
}


def secret(platform: str) -> bytes:
    """Return the secret of a vendor, as its console shows it."""
    return SECRETS.get(platform, b"s3cret-of-" + platform.encode())


def scheme(platform: str) -> Scheme:
    """Return the scheme by which a vendor signs."""
    found = VENDORS[platform].auth
    assert found is not None
    return found


def bare(platform: str, body: bytes = BODY, url: str = URL, content_type: str = "application/json") -> SignedRequest:
    """Return a request before it is signed."""
    return SignedRequest("POST", url, (("Content-Type", content_type), *IDS.get(platform, ())), body)


def signed(
    platform: str,
    body: bytes = BODY,
    *,
    url: str = URL,
    key: bytes | None = None,
    at: float = NOW,
    content_type: str = "application/json",
    by: Scheme | None = None,
) -> SignedRequest:
    """Return a request as a vendor sends it; `by`: signed in another way than the vendor's."""
    request = bare(platform, body, url, content_type)
    added = sign(by or scheme(platform), request, [secret(platform) if key is None else key], at)
    return replace(request, headers=(*request.headers, *added))


def renamed(request: SignedRequest, old: str, new: str) -> SignedRequest:
    """Return a request whose header came under another name."""
    pairs = ((new if name.lower() == old.lower() else name, value) for name, value in request.headers)
    return replace(request, headers=tuple(pairs))


def changed(request: SignedRequest, name: str, value: str) -> SignedRequest:
    """Return a request whose header has another value."""
    pairs = ((given, value if given.lower() == name.lower() else text) for given, text in request.headers)
    return replace(request, headers=tuple(pairs))


def header(request: SignedRequest, name: str) -> str:
    """Return a header that is there."""
    return next(value for given, value in request.headers if given.lower() == name.lower())


def found(
    platform: str,
    request: SignedRequest,
    *stored: bytes,
    others: tuple[Secret, ...] = (),
    now: float = NOW,
    budget: Budget | None = None,
) -> tuple[Finding, ...]:
    """Diagnose a request for a source with these secrets (its vendor's own when none is given)."""
    own = tuple(Secret(text) for text in (stored or (secret(platform),)))
    case = Case(platform, VENDORS[platform].schemes, request, (*own, *others), now, PUBLIC)
    findings = diagnose(case, budget or Budget())
    for one in findings:
        for text in (*stored, secret(platform)):
            assert len(text) < 5 or text.decode("latin-1") not in one.detail, "a secret is in the words"
    return findings


def first(platform: str, request: SignedRequest, *stored: bytes, others: tuple[Secret, ...] = ()) -> tuple[Cause, bool]:
    """Return the likeliest cause, and whether it is proved."""
    findings = found(platform, request, *stored, others=others)
    assert findings, "nothing was found"
    return findings[0].cause, findings[0].certain
