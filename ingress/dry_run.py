"""A request given by a person, judged as the door would judge it, and explained: nothing is stored, nothing counted.

Lives here: what `POST /sources/{id}/verify` answers, as a value. Not here: its JSON (api/resources/source_verify.py),
the tries (diagnosis/). Blocks for what the budget allows: callers run it in a thread.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ingress.authenticate import authenticate, remedy
from ingress.diagnosis import Budget, Cause, Finding, Secret
from ingress.diagnosis.addresses import shown
from ingress.explain import explain
from ingress.jwks import KeySource
from ingress.routes import Platform, SecretUrl, find
from ingress.schemes import keys_of, schemes_of
from ingress.target import Target
from schemas.definitions.auth_mtls import MtlsAuth
from schemas.definitions.key import PREFIX, digest
from schemas.definitions.view import Snapshot, SourceView
from schemas.reasons import Reason
from schemas.signing import Invalid, Scheme, SignedRequest, container, template, verify_any
from schemas.vendors import adapter
from schemas.wire.raw import AuthResult

PREVIEW = 200
_DEFAULT_PORTS = {"https": 443, "http": 80}
_ABOUT_TIME = frozenset({Reason.TIMESTAMP_STALE, Reason.TIMESTAMP_FUTURE})


@dataclass(frozen=True, slots=True)
class Signed:
    """What the deciding scheme signs: its template, and the text that came of it, cut and without tokens of URLs."""

    template: str
    stands_in: str
    algorithm: str
    preview: str | None
    size: int | None


@dataclass(frozen=True, slots=True)
class DryRun:
    """The verdict on a request. `reason` None = it would be taken; `proof` who it is proved to be by."""

    reason: Reason | None
    detail: str
    proof: AuthResult | None
    scheme: str | None
    causes: tuple[Finding, ...] = ()
    signed: Signed | None = None
    warnings: tuple[str, ...] = ()
    authenticated: bool = field(default=False)


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gave: `url` may be a path alone or "", `at_s` None = now."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the judging needs of this process; `now_s` in epoch seconds."""

    snapshot: Snapshot
    public_url: str
    body_limit: int
    keys: KeySource
    now_s: float
    others: tuple[Secret, ...] = field(default=(), repr=False)


def judge(source: SourceView, given: Given, around: Surroundings) -> DryRun:
    """Judge a request for a source; total but for bugs."""
    target = _target(source, given, around)
    request = SignedRequest(given.method, _full(given.url, around.public_url), given.headers, given.body)
    at_s = around.now_s if given.at_s is None else given.at_s
    proof = authenticate(target, request, at_s, around.keys)
    warnings = tuple(_warnings(source, given, around, proof))
    scheme = _scheme(source, request, at_s, proof)
    signed = None if scheme is None else _signed(scheme, request)
    name = None if scheme is None else scheme.name
    if isinstance(proof, Invalid):
        findings = explain(source, request, at_s, public_url=around.public_url, others=around.others, budget=Budget())
        causes = findings or (Finding(Cause.CREDENTIAL, remedy(target, proof.reason), certain=True),)
        return DryRun(proof.reason, remedy(target, proof.reason), None, name, causes, signed, warnings)
    reason, detail = _not_taken(source, target, given, around)
    return DryRun(reason, detail, proof, proof.scheme, (), signed, warnings, authenticated=True)


def others(source: SourceView, snapshot: Snapshot, most: int) -> tuple[Secret, ...]:
    """Return secrets of the tenant's other sources, those of the same platform first: which may have been mixed up."""
    siblings = [each for each in snapshot.sources.values() if each.tenant == source.tenant and each.id != source.id]
    siblings.sort(key=lambda each: (each.platform != source.platform, each.name))
    found = [
        Secret(value, f"source {each.name!r} ({each.platform})", Cause.SECRET_OF_ANOTHER_SOURCE)
        for each in siblings
        for value in keys_of(each)
        if value and schemes_of(each)
    ]
    return tuple(found[:most])


def _target(source: SourceView, given: Given, around: Surroundings) -> Target:
    path = _path(given.url)
    route = find(path)
    url_id = None
    if isinstance(route, SecretUrl):
        source_id, found = around.snapshot.by_url.get(digest(route.token), ("", ""))
        url_id = found if source_id == source.id else None
    word, _, text = (next((v for n, v in given.headers if n.lower() == "authorization"), "")).partition(" ")
    is_key = word.lower() == "bearer" and text.strip().startswith(PREFIX)
    key = around.snapshot.keys.get(digest(text.strip())) if is_key else None
    return Target(source, adapter(source.platform), path, key, url_id)


def _not_taken(source: SourceView, target: Target, given: Given, around: Surroundings) -> tuple[Reason | None, str]:
    """Return why a proved request would be refused all the same."""
    if not source.definition.enabled:
        return Reason.NOT_FOUND, "the proof is right, but the source is disabled: set enabled to true"
    if not source.open:
        return Reason.NOT_FOUND, "the proof is right, but the source's topics are not ready: save the source again"
    limit = min(around.body_limit, target.vendor.body_limit)
    if len(given.body) > limit:
        return Reason.BODY_TOO_LARGE, f"the proof is right, but the body may have {limit} bytes"
    return None, "this request would be taken"


def _warnings(source: SourceView, given: Given, around: Surroundings, proof: AuthResult | Invalid) -> list[str]:
    found: list[str] = []
    route = find(_path(given.url))
    if isinstance(route, SecretUrl) and around.snapshot.by_url.get(digest(route.token), ("",))[0] != source.id:
        found.append("the URL is no secret URL of this source: it was revoked, mistyped, or is another source's")
    if isinstance(route, Platform) and route.platform != source.platform:
        found.append(f"the URL is that of platform {route.platform!r}, this source is of {source.platform!r}")
    if any("{url}" in scheme.message for scheme in schemes_of(source)):
        if not given.url:
            found.append("give url, the address as the sender calls it: it is part of what this vendor signs")
        elif "://" in given.url and _place(given.url) != _place(around.public_url):
            found.append(
                f"judged for the address given; a delivery is judged for public_ingest_url, {around.public_url}: they "
                "must be the same"
            )
    if isinstance(proof, Invalid) and proof.reason in _ABOUT_TIME and given.at_s is None:
        found.append("judged by the time now: to judge an earlier request give `at`, the epoch seconds of its arrival")
    if isinstance(source.definition.auth, MtlsAuth):
        found.append("a client certificate is shown in a TLS handshake and cannot be given here")
    if source.definition.paused:
        found.append("the source is paused: what is taken is kept and not processed")
    return found


def _scheme(source: SourceView, request: SignedRequest, at_s: float, proof: AuthResult | Invalid) -> Scheme | None:
    schemes = schemes_of(source)
    if not schemes:
        return None
    if isinstance(proof, AuthResult):
        return next((scheme for scheme in schemes if scheme.name == proof.scheme), None)
    return verify_any(schemes, request, keys_of(source), at_s)[0]


def _signed(scheme: Scheme, request: SignedRequest) -> Signed:
    if scheme.items is not None or scheme.algorithm == "token":
        return Signed(scheme.message, scheme.stands_in, scheme.algorithm, None, None)
    value = template.header(request, scheme.container.header)
    said = None if value is None else container.read(scheme.container, value)
    hidden = SignedRequest(request.method, shown(request.url), request.headers, request.body)
    pieces = template.fill(scheme.message, hidden, {} if said is None else said.params)
    if isinstance(pieces, Reason):
        return Signed(scheme.message, scheme.stands_in, scheme.algorithm, None, None)
    size = sum(len(piece) for piece in pieces)
    head = b"".join(bytes(piece[:PREVIEW]) for piece in pieces)[:PREVIEW]
    text = head.decode("utf-8", "replace") + ("…" if size > PREVIEW else "")
    return Signed(scheme.message, scheme.stands_in, scheme.algorithm, text, size)


def checksum(body: bytes) -> str:
    """Return a body's SHA-256 in hex, to compare with what the sender logged."""
    return hashlib.sha256(body).hexdigest()


def known(own: int, removed: Sequence[Secret], siblings: Sequence[Secret], most: int) -> tuple[Secret, ...]:
    """Return the secrets that may explain a mismatch beside `own` ones, the removed first, `most` in all."""
    return (*removed, *siblings)[: max(0, most - own)]


def _full(url: str, public_url: str) -> str:
    return public_url + url if url.startswith("/") else url


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _place(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "", None, None
