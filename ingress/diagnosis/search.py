"""Which single mistake gives the presented signature: keys, algorithms, bodies, addresses and messages tried in turn.

Lives here: the order of the tries, the likeliest first, and the one place where a signature is computed and compared.
The time is left out: it is judged apart (clock.py). Bounded by the case's budget; schemes that are no MAC over a
message: inside.py.
"""

import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from msgspec import structs

from ingress.diagnosis import addresses, bodies, inside, keys
from ingress.diagnosis.case import Budget, Case
from ingress.diagnosis.causes import Cause, Finding
from ingress.diagnosis.ground import Ground, ground_of
from ingress.diagnosis.keys import Key
from ingress.diagnosis.presented import Presented
from schemas.reasons import Reason
from schemas.signing import Scheme, SignedRequest, mac, publickey, template, urls
from schemas.vendors import VENDORS

Algorithm = Literal["sha1", "sha256", "sha512", "sha256concat"]
_ALGORITHMS: dict[Algorithm, str] = {
    "sha1": "HMAC-SHA-1",
    "sha256": "HMAC-SHA-256",
    "sha512": "HMAC-SHA-512",
    "sha256concat": "a plain SHA-256 of secret and message",
}


@dataclass(frozen=True, slots=True)
class Match:
    """What explains the signature; no findings = the signature is right as it is."""

    scheme: Scheme
    findings: tuple[Finding, ...] = ()


def search(case: Case, schemes: Iterable[Scheme], budget: Budget) -> Match | None:
    """Return the first explanation that gives the presented signature; None when the budget or all tries end."""
    grounds = []
    for scheme in schemes:
        if scheme.items is not None or scheme.algorithm == "token":
            found = inside.search(scheme, case, budget)
            if found is not None:
                return Match(scheme, found)
        else:
            grounds.append(ground_of(scheme, case))
    usable = [ground for ground in grounds if ground.presented]
    for attempt in (_as_is, _misread, _others, _algorithms, _platforms, _bodies, _addresses, _messages):
        for ground in usable if attempt is not _platforms else grounds[:1]:
            match = attempt(ground, case, budget)
            if match is not None:
                return match
    return None


def _as_is(ground: Ground, _case: Case, budget: Budget) -> Match | None:
    return _tried(ground, ground.own, budget)


def _misread(ground: Ground, case: Case, budget: Budget) -> Match | None:
    found = (key for secret in case.own for key in keys.misread(ground.scheme, secret))
    return _tried(ground, tuple(found), budget)


def _others(ground: Ground, case: Case, budget: Budget) -> Match | None:
    found = (key for secret in case.others for key in keys.plain(ground.scheme, secret))
    return _tried(ground, tuple(found), budget)


def _algorithms(ground: Ground, _case: Case, budget: Budget) -> Match | None:
    wanted = next((name for each, name in _ALGORITHMS.items() if each == ground.scheme.algorithm), None)
    if wanted is None:
        return None
    for algorithm, name in _ALGORITHMS.items():
        if algorithm != ground.scheme.algorithm:
            detail = f"the sender uses {name}, this source takes {wanted}: change it in the sender's settings"
            scheme = replace(ground.scheme, algorithm=algorithm)
            match = _tried(
                ground, ground.own, budget, scheme=scheme, why=Finding(Cause.ALGORITHM, detail, certain=True)
            )
            if match is not None:
                return replace(match, scheme=ground.scheme)
    return None


def _bodies(ground: Ground, _case: Case, budget: Budget) -> Match | None:
    if not re.search(r"\{(body|item0|params)\}", ground.scheme.message) or not ground.own:
        return None
    request = ground.request
    content_type = template.header(request, "content-type") or ""
    for body in bodies.variants(bytes(request.body), content_type, reencoded=budget.reencoded):
        if budget.spent:
            return None
        headers = request.headers
        if body.content_type is not None:
            headers = (("Content-Type", body.content_type), *headers)
        other = structs.replace(request, body=body.content, headers=headers, by_name=None)
        match = _tried(ground, ground.own, budget, request=other, why=body.finding)
        if match is not None:
            return match
    return None


def _addresses(ground: Ground, case: Case, budget: Budget) -> Match | None:
    if "{url}" not in ground.scheme.message or not ground.own:
        return None
    for url in addresses.variants(ground.request, case.public_url):
        match = _tried(ground, ground.own, budget, request=structs.replace(ground.request, url=url))
        if match is not None:
            why = addresses.finding(ground.request.url, url)
            return replace(match, findings=(why, *match.findings))
        if budget.spent:
            return None
    return None


def _messages(ground: Ground, _case: Case, budget: Budget) -> Match | None:
    if "{method}" in ground.scheme.message:
        for method in ("POST", "GET", "PUT"):
            detail = f"the sender signed the method {method}, the request came as {ground.request.method[:16]}"
            why = Finding(Cause.MESSAGE, f"{detail}: a proxy or redirect changed it", certain=True)
            match = _tried(ground, ground.own, budget, request=structs.replace(ground.request, method=method), why=why)
            if match is not None:
                return match
    fresh = ground.scheme.freshness
    time = (
        ""
        if fresh is None or fresh.source == "body"
        else f"{{{'h' if fresh.source == 'header' else 'p'}.{fresh.name}}}"
    )
    shapes = ["{body}", "{url}{body}", "{method}{url}{body}"]
    if time:
        shapes += [f"{time}.{{body}}", f"{time}{{body}}", f"{time}:{{body}}", f"{{body}}{time}", f"v0:{time}:{{body}}"]
    for message in shapes:
        if message == ground.scheme.message:
            continue
        detail = f"the sender signs `{message}`, this scheme signs `{ground.scheme.message}`: sign that text"
        why = Finding(Cause.MESSAGE, detail, certain=True)
        match = _tried(ground, ground.own, budget, scheme=replace(ground.scheme, message=message), why=why)
        if match is not None or budget.spent:
            return None if match is None else replace(match, scheme=ground.scheme)
    return None


def _platforms(own: Ground, case: Case, budget: Budget) -> Match | None:
    """Try the schemes of other vendors whose headers are there."""
    for vendor, scheme in foreign(case):
        ground = ground_of(scheme, case)
        detail = (
            f"this is signed the way of {vendor}, the source takes {case.platform}: make a source of platform "
            f"{vendor}, or set its auth to that type"
        )
        why = Finding(Cause.PLATFORM, detail, certain=True)
        match = _tried(ground, ground.own, budget, why=why) if ground.presented else None
        if match is not None:
            return replace(match, scheme=own.scheme)
    return None


def foreign(case: Case) -> Iterator[tuple[str, Scheme]]:
    """Yield (vendor, scheme) of every other vendor whose signature header the request has."""
    given = {name.lower() for name, _ in case.request.headers}
    known = {scheme.container.header.lower() for scheme in case.schemes}
    for vendor in VENDORS.values():
        for scheme in vendor.schemes:
            header = scheme.container.header.lower()
            is_mac = scheme.items is None and scheme.algorithm != "token" and scheme.container.kind != "query"
            if is_mac and header in given and header not in known and vendor.name != case.platform:
                yield vendor.name, scheme


def _tried(
    ground: Ground,
    candidates: Iterable[Key],
    budget: Budget,
    *,
    scheme: Scheme | None = None,
    request: SignedRequest | None = None,
    why: Finding | None = None,
) -> Match | None:
    scheme, request = scheme or ground.scheme, request or ground.request
    for url in urls.variants(scheme.urls, request.url):
        pieces = template.fill(scheme.message, structs.replace(request, url=url), ground.params)
        if isinstance(pieces, Reason):
            return None
        size = sum(len(piece) for piece in pieces)
        for key in candidates:
            if not budget.take(size):
                return None
            for one in _fitting(scheme, key, pieces, ground.presented):
                said = (why, key.wrong, one.wrong, *ground.repaired)
                return Match(scheme, tuple(dict.fromkeys(each for each in said if each is not None)))
    return None


def _fitting(
    scheme: Scheme, key: Key, pieces: list[bytes | bytearray | memoryview], presented: Iterable[Presented]
) -> Iterator[Presented]:
    """Yield the presented signatures that are this key's."""
    if isinstance(key.made, bytes):
        made = mac.digest(scheme, key.made, pieces)
        yield from (one for one in presented if hmac.compare_digest(made, one.digest))
        return
    message = b"".join(pieces)
    for one in presented:
        if publickey.verifies(key.made, message, one.digest):
            yield one
