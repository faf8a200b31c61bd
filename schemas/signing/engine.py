"""Verify and sign: twins over one `Scheme`, so that what we send is what we would take.

Lives here: the order of the checks. Header first, then age, then MACs: a stale or unreadable request costs no hashing;
a time that stands in the body is read after the body is proved. Any of N secrets times any of M presented signatures;
an empty or undecodable secret never verifies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from schemas.reasons import Reason
from schemas.signing import container, fields, freshness, items, mac, publickey, template, urls
from schemas.signing.container import Presented
from schemas.signing.fields import Bytes
from schemas.signing.scheme import Coverage, Invalid, Scheme, SignedRequest, Valid, Verdict

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TELLING = (
    Reason.SIGNATURE_MISSING,
    Reason.SIGNATURE_MALFORMED,
    Reason.NO_SECRET,
    Reason.TIMESTAMP_MISSING,
    Reason.TIMESTAMP_STALE,
    Reason.TIMESTAMP_FUTURE,
    Reason.SIGNATURE_MISMATCH,
)


def verify_any(
    schemes: Sequence[Scheme], request: SignedRequest, secrets: Sequence[bytes], now_s: float
) -> tuple[Scheme, Verdict]:
    """Judge by each scheme in turn; return the one that is met, else the one whose reason says most. Total.

    `schemes` must not be empty. A scheme is only asked whether the headers it wants are there (`Scheme.when`).
    """
    best: tuple[Scheme, Invalid] | None = None
    for scheme in schemes:
        verdict = verify(scheme, request, secrets, now_s)
        if isinstance(verdict, Valid):
            return scheme, verdict
        if best is None or _TELLING.index(verdict.reason) > _TELLING.index(best[1].reason):
            best = scheme, verdict
    if best is None:
        raise ValueError("no scheme to judge by")
    return best


def verify(  # noqa: PLR0911 one line for each check
    scheme: Scheme, request: SignedRequest, secrets: Sequence[bytes], now_s: float
) -> Verdict:
    """Judge a request at `now_s` (epoch seconds) against the secrets' texts; total: never raises.

    `Valid.secret` is the index of the secret that matched. Blocks for the hash of the body (about 0.6 ms a MB).
    """
    if scheme.when and any(template.header(request, name) != wanted for name, wanted in scheme.when):
        return Invalid(Reason.SIGNATURE_MISSING)
    if scheme.items is not None:
        return items.verify(scheme, scheme.items, request, secrets)
    text = _presented_text(scheme, request)
    if text is None:
        return Invalid(Reason.SIGNATURE_MISSING)
    presented = container.read(scheme.container, text)
    if presented is None:
        return Invalid(Reason.SIGNATURE_MALFORMED)
    if scheme.freshness is not None and scheme.freshness.source != "body":
        stale = freshness.check(scheme.freshness, _timestamp(scheme, request, presented), now_s)
        if stale is not None:
            return Invalid(stale)
    verdict = _match(scheme, request, presented, secrets)
    if isinstance(verdict, Valid) and scheme.freshness is not None and scheme.freshness.source == "body":
        stale = freshness.check(scheme.freshness, _member(request.body, scheme.freshness.name), now_s)
        if stale is not None:
            return Invalid(stale)
    return verdict


def sign(scheme: Scheme, request: SignedRequest, secrets: Sequence[bytes], now_s: float) -> tuple[tuple[str, str], ...]:
    """Return the headers that a sender adds so that `verify` answers Valid; one signature a secret where they fit.

    For public-key schemes a secret is the private key. A time in the body is the caller's. Raises ValueError when no
    secret is usable, a token of the template has no value in the request, or the proof does not stand in a header.
    """
    if scheme.items is not None or scheme.container.kind == "query":
        raise ValueError(f"cannot sign by {scheme.name}: the proof stands in the body or the URL, not in a header")
    params: dict[str, str] = {}
    added: list[tuple[str, str]] = [(name, wanted) for name, wanted in scheme.when if wanted is not None]
    at = None
    if scheme.freshness is not None and scheme.freshness.source != "body":
        at = freshness.stamp(scheme.freshness, now_s)
        if scheme.freshness.source == "header":
            added.append((scheme.freshness.name, at))
        else:
            params[scheme.freshness.name] = at
    stamped = replace(request, headers=(*added, *request.headers), by_name=None)
    pieces = template.fill(scheme.message, stamped, params)
    texts = [] if isinstance(pieces, Reason) else _signatures(scheme, pieces, secrets)
    if not texts:
        raise ValueError(f"cannot sign by {scheme.name}: no usable secret, or the request lacks what is signed")
    return (*added, (scheme.container.header, container.write(scheme.container, texts, at)))


def _match(scheme: Scheme, request: SignedRequest, presented: Presented, secrets: Sequence[bytes]) -> Verdict:
    usable = False
    for url in urls.variants(scheme.urls, request.url):
        asked = request if url == request.url else replace(request, url=url)
        pieces = template.fill(scheme.message, asked, presented.params)
        if isinstance(pieces, Reason):
            return Invalid(pieces)
        for index, secret in enumerate(secrets):
            matched = _matches(scheme, pieces, presented, secret)
            if matched:
                return Valid(index, _coverage(scheme, request))
            usable = usable or matched is not None
    return Invalid(Reason.SIGNATURE_MISMATCH if usable else Reason.NO_SECRET)


def _matches(scheme: Scheme, pieces: Sequence[Bytes], presented: Presented, secret: bytes) -> bool | None:
    """Tell whether one of the presented signatures is this secret's; None when the secret cannot be used."""
    if scheme.algorithm in publickey.ALGORITHMS:
        public = publickey.public(scheme, secret) if secret else None
        if public is None:
            return None
        message = b"".join(pieces)
        decoded = (publickey.decode(scheme, candidate) for candidate in presented.candidates)
        return any(one is not None and publickey.verifies(public, message, one) for one in decoded)
    made_key = mac.key(scheme, secret)
    if made_key is None:
        return None
    expected = mac.render(scheme, mac.digest(scheme, made_key, pieces))
    return any(mac.equal(scheme, expected, candidate) for candidate in presented.candidates)


def _signatures(scheme: Scheme, pieces: Sequence[Bytes], secrets: Sequence[bytes]) -> list[str]:
    if scheme.algorithm in publickey.ALGORITHMS:
        made = [publickey.sign(scheme, secret, b"".join(pieces)) for secret in secrets]
        return [mac.render(scheme, one).decode() for one in made if one is not None]
    keys = [found for secret in secrets if (found := mac.key(scheme, secret)) is not None]
    return [mac.render(scheme, mac.digest(scheme, found, pieces)).decode("latin-1") for found in keys]


def _presented_text(scheme: Scheme, request: SignedRequest) -> str | None:
    if scheme.container.kind == "query":
        return urls.parameter(request.url, scheme.container.header)
    return template.header(request, scheme.container.header)


def _coverage(scheme: Scheme, request: SignedRequest) -> Coverage:
    """Return what the signature covers: of a batch whose first item alone is signed, only a part."""
    return "partial" if "{item0}" in scheme.message and fields.is_batch(request.body) else scheme.coverage


def _timestamp(scheme: Scheme, request: SignedRequest, presented: Presented) -> str | None:
    if scheme.freshness is None:
        return None
    if scheme.freshness.source == "param":
        return presented.params.get(scheme.freshness.name)
    return template.header(request, scheme.freshness.name)


def _member(body: Bytes, name: str) -> str | None:
    """Return a top-level member of a JSON object as its text; None when there is none."""
    try:
        members: Mapping[str, msgspec.Raw] = _MEMBERS.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    found = members.get(name)
    return None if found is None else bytes(found).decode("latin-1").strip('"')
