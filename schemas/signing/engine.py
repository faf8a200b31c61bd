"""Verify and sign: twins over one `Scheme`, so that what we send is what we would take.

Lives here: the order of the checks. Header first, then age, then MACs: a stale or unreadable request costs no hashing.
Any of N secrets times any of M presented signatures; an empty or undecodable secret never verifies.
"""

from collections.abc import Sequence

from schemas.reasons import Reason
from schemas.signing import container, freshness, mac, template
from schemas.signing.container import Presented
from schemas.signing.scheme import Invalid, Scheme, SignedRequest, Valid, Verdict


def verify(scheme: Scheme, request: SignedRequest, secrets: Sequence[bytes], now_s: float) -> Verdict:
    """Judge a request at `now_s` (epoch seconds) against the secrets' texts; total: never raises.

    `Valid.secret` is the index of the secret that matched. Blocks for the hash of the body (about 0.6 ms a MB).
    """
    text = template.header(request, scheme.container.header)
    if text is None:
        return Invalid(Reason.SIGNATURE_MISSING)
    presented = container.read(scheme.container, text)
    if presented is None:
        return Invalid(Reason.SIGNATURE_MALFORMED)
    if scheme.freshness is not None:
        stale = freshness.check(scheme.freshness, _timestamp(scheme, request, presented), now_s)
        if stale is not None:
            return Invalid(stale)
    pieces = template.fill(scheme.message, request, presented.params)
    if pieces is None:
        return Invalid(Reason.SIGNATURE_MALFORMED)
    usable = False
    for index, secret in enumerate(secrets):
        made_key = mac.key(scheme, secret)
        if made_key is None:
            continue
        usable = True
        expected = mac.render(scheme, mac.digest(scheme, made_key, pieces))
        if any(mac.equal(scheme, expected, candidate) for candidate in presented.candidates):
            return Valid(index)
    return Invalid(Reason.SIGNATURE_MISMATCH if usable else Reason.NO_SECRET)


def sign(scheme: Scheme, request: SignedRequest, secrets: Sequence[bytes], now_s: float) -> tuple[tuple[str, str], ...]:
    """Return the headers that a sender adds so that `verify` answers Valid; one signature a secret where they fit.

    Raises ValueError when no secret is usable or a token of the template has no value in the request.
    """
    params: dict[str, str] = {}
    added: list[tuple[str, str]] = []
    at = None
    if scheme.freshness is not None:
        at = freshness.stamp(scheme.freshness, now_s)
        if scheme.freshness.source == "header":
            added.append((scheme.freshness.name, at))
        else:
            params[scheme.freshness.name] = at
    stamped = SignedRequest(request.method, request.url, (*added, *request.headers), request.body)
    pieces = template.fill(scheme.message, stamped, params)
    keys = [made for secret in secrets if (made := mac.key(scheme, secret)) is not None]
    if pieces is None or not keys:
        raise ValueError(f"cannot sign by {scheme.name}: no usable secret, or the request lacks what is signed")
    texts = [mac.render(scheme, mac.digest(scheme, made, pieces)).decode() for made in keys]
    return (*added, (scheme.container.header, container.write(scheme.container, texts, at)))


def _timestamp(scheme: Scheme, request: SignedRequest, presented: Presented) -> str | None:
    if scheme.freshness is None:
        return None
    if scheme.freshness.source == "param":
        return presented.params.get(scheme.freshness.name)
    return template.header(request, scheme.freshness.name)
