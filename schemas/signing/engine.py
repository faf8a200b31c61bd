"""Verify and sign: twins over one `Scheme`, so that what we send is what we would take.

Lives here: the order of the checks. Header first, then age, then MACs: a stale or unreadable request costs no hashing;
a time that stands in the body is read after the body is proved. Any of N secrets times any of M presented signatures;
an empty or undecodable secret never verifies.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from schemas.reasons import Reason
from schemas.signing import container, fields, freshness, items, mac, publickey, template, urls
from schemas.signing.container import Presented
from schemas.signing.fields import Bytes
from schemas.signing.matching import matcher
from schemas.signing.scheme import Coverage, Freshness, Invalid, Scheme, SignedRequest, Valid, Verdict

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


class Prepared:
    """One scheme with its secrets, made ready: keys are set up and the template is read once, not once a request."""

    __slots__ = ("_fill", "_matchers", "_partial", "_secrets", "scheme")

    def __init__(self, scheme: Scheme, secrets: Sequence[bytes]) -> None:
        self.scheme = scheme
        self._secrets = tuple(secrets)
        self._matchers = [] if scheme.items is not None else [matcher(scheme, secret) for secret in secrets]
        self._fill = template.compiled(scheme.message)
        self._partial = "{item0}" in scheme.message

    def verify(self, request: SignedRequest, now_s: float) -> Verdict:  # noqa: PLR0911 one line for each check
        """Judge a request at `now_s` (epoch seconds); total: never raises.

        `Valid.secret` is the index of the secret that matched. Blocks for the hash of the body (about 0.6 ms a MB).
        """
        scheme = self.scheme
        if scheme.when and any(template.header(request, name) != wanted for name, wanted in scheme.when):
            return Invalid(Reason.SIGNATURE_MISSING)
        if scheme.items is not None:
            return items.verify(scheme, scheme.items, request, self._secrets)
        text = _presented_text(scheme, request)
        if text is None:
            return Invalid(Reason.SIGNATURE_MISSING)
        presented = container.read(scheme.container, text)
        if presented is None:
            return Invalid(Reason.SIGNATURE_MALFORMED)
        fresh = scheme.freshness
        if fresh is not None and fresh.source != "body":
            stale = freshness.check(fresh, _timestamp(fresh, request, presented), now_s)
            if stale is not None:
                return Invalid(stale)
        verdict = self._match(request, presented)
        if fresh is not None and fresh.source == "body" and isinstance(verdict, Valid):
            stale = freshness.check(fresh, _member(request.body, fresh.name), now_s)
            if stale is not None:
                return Invalid(stale)
        return verdict

    def _match(self, request: SignedRequest, presented: Presented) -> Verdict:
        for asked in (request,) if self.scheme.urls == "exact" else _variants(self.scheme, request):
            pieces = self._fill(asked, presented.params)
            if isinstance(pieces, Reason):
                return Invalid(pieces)
            for index, matches in enumerate(self._matchers):
                if matches is not None and matches(pieces, presented.candidates):
                    return Valid(index, self._coverage(request))
        usable = any(matches is not None for matches in self._matchers)
        return Invalid(Reason.SIGNATURE_MISMATCH if usable else Reason.NO_SECRET)

    def _coverage(self, request: SignedRequest) -> Coverage:
        """Return what the signature covers: of a batch whose first item alone is signed, only a part."""
        return "partial" if self._partial and fields.is_batch(request.body) else self.scheme.coverage


def judge(prepared: Sequence[Prepared], request: SignedRequest, now_s: float) -> tuple[Scheme, Verdict]:
    """Judge by each scheme in turn; return the one that is met, else the one whose reason says most. Total.

    `prepared` must not be empty. A scheme is only asked whether the headers it wants are there (`Scheme.when`).
    """
    best: tuple[Scheme, Invalid] | None = None
    for each in prepared:
        verdict = each.verify(request, now_s)
        if isinstance(verdict, Valid):
            return each.scheme, verdict
        if best is None or _TELLING.index(verdict.reason) > _TELLING.index(best[1].reason):
            best = each.scheme, verdict
    if best is None:
        raise ValueError("no scheme to judge by")
    return best


def verify_any(
    schemes: Sequence[Scheme], request: SignedRequest, secrets: Sequence[bytes], now_s: float
) -> tuple[Scheme, Verdict]:
    """`judge` by schemes and the secrets' texts; whoever judges many requests keeps what is `Prepared`."""
    return judge([Prepared(scheme, secrets) for scheme in schemes], request, now_s)


def verify(scheme: Scheme, request: SignedRequest, secrets: Sequence[bytes], now_s: float) -> Verdict:
    """Judge a request by one scheme and the secrets' texts, as `Prepared.verify` does."""
    return Prepared(scheme, secrets).verify(request, now_s)


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


def _signatures(scheme: Scheme, pieces: Sequence[Bytes], secrets: Sequence[bytes]) -> list[str]:
    if scheme.algorithm in publickey.ALGORITHMS:
        made = [publickey.sign(scheme, secret, b"".join(pieces)) for secret in secrets]
        return [mac.render(scheme, one).decode() for one in made if one is not None]
    keys = [found for secret in secrets if (found := mac.key(scheme, secret)) is not None]
    return [mac.render(scheme, mac.digest(scheme, found, pieces)).decode("latin-1") for found in keys]


def _variants(scheme: Scheme, request: SignedRequest) -> list[SignedRequest]:
    return [replace(request, url=url) for url in urls.variants(scheme.urls, request.url)]


def _presented_text(scheme: Scheme, request: SignedRequest) -> str | None:
    if scheme.container.kind == "query":
        return urls.parameter(request.url, scheme.container.header)
    return template.header(request, scheme.container.header)


def _timestamp(fresh: Freshness, request: SignedRequest, presented: Presented) -> str | None:
    if fresh.source == "param":
        return presented.params.get(fresh.name)
    return template.header(request, fresh.name)


def _member(body: Bytes, name: str) -> str | None:
    """Return a top-level member of a JSON object as its text; None when there is none."""
    try:
        members: Mapping[str, msgspec.Raw] = _MEMBERS.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    found = members.get(name)
    return None if found is None else bytes(found).decode("latin-1").strip('"')
