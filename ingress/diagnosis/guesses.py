"""What is most likely wrong when no try gave the presented signature, told by what the request itself shows.

Lives here: signs in headers and body, each a guess but for what is plainly missing. Not here: tries (search.py).
"""

import json
import re
from collections.abc import Iterator

from ingress.diagnosis import addresses, ground, keys, search
from ingress.diagnosis import presented as presentation
from ingress.diagnosis.case import Budget, Case
from ingress.diagnosis.causes import Cause, Finding
from schemas.reasons import Reason
from schemas.signing import Scheme, template, urls
from schemas.vendors.base import TOKEN_PREFIX

_REPLACED = b"\xef\xbf\xbd"
_LIVE = re.compile(rb'"livemode"\s*:\s*(true|false)')
_LOOKED_AT = 64 << 10
_SIZES = {"sha256": 32, "sha1": 20, "sha512": 64, "sha256concat": 32, "ed25519": 64}
"""Bytes of a signature."""


def guesses(case: Case, scheme: Scheme, reason: Reason, budget: Budget) -> Iterator[Finding]:
    """Yield findings, the likeliest first; at least one."""
    yield from _secrets(case, scheme, reason)
    if reason is Reason.SIGNATURE_MISSING:
        yield from _no_header(case, scheme)
        return
    if reason is Reason.SIGNATURE_MALFORMED:
        yield from _unreadable(case, scheme)
        return
    if reason is Reason.NO_SECRET:
        return
    unfit = _no_digest(case, scheme)
    if unfit is not None:
        yield unfit
        return
    yield from _body(case)
    yield from _environment(case, scheme)
    if "{url}" in scheme.message and case.public_url and not case.request.url.startswith(case.public_url):
        detail = (
            f"the URL is part of what is signed: the one given here, {addresses.shown(case.request.url)}, is not at "
            f"public_ingest_url ({case.public_url})"
        )
        yield Finding(Cause.URL_MISMATCH, detail, certain=False)
    how = "the tries were cut short by their bound" if budget.spent else f"{budget.used} readings were tried"
    detail = (
        f"no secret of this source gives this signature ({how}): most likely the sender signs with another secret "
        "(another environment, endpoint or app, or one that was rotated): copy it again; if it is the right one, the "
        "body was changed on the way: compare its bytes with what the sender logged"
    )
    yield Finding(Cause.UNKNOWN, detail, certain=False)


def _secrets(case: Case, scheme: Scheme, reason: Reason) -> Iterator[Finding]:
    for secret in case.own:
        words = keys.kind(secret)
        if words is not None:
            detail = f"a secret of this source looks like {words}"
            yield Finding(Cause.SECRET_KIND, detail, certain=reason is Reason.NO_SECRET)
            return
    if reason is Reason.NO_SECRET:
        only = bool(case.own) and all(secret.value.startswith(TOKEN_PREFIX.encode()) for secret in case.own)
        shape = f"none can be read as {keys.reading(scheme)}"
        detail = f"all of them are handshakes' tokens ({TOKEN_PREFIX}…)" if only else shape
        said = f"the source has no secret that can be used: {detail}; copy the vendor's signing secret whole"
        yield Finding(Cause.SECRET_UNUSABLE, said, certain=True)


def _no_header(case: Case, scheme: Scheme) -> Iterator[Finding]:
    if scheme.container.kind != "query" and scheme.items is None:
        for name, _ in search.foreign(case):
            detail = (
                f"this looks like a delivery of {name}: the source takes {case.platform}; check the URL it posts to"
            )
            yield Finding(Cause.PLATFORM, detail, certain=False)
            break
        for name in presentation.aliases(scheme, case.request):
            detail = f"{scheme.container.header} is not there, {name} is: the sender or a proxy names it otherwise"
            yield Finding(Cause.HEADER_NAME, detail, certain=False)
            break
    where = " or ".join(dict.fromkeys(each.stands_in for each in case.schemes))
    detail = (
        f"{where} did not come: the sender signs nothing (is a secret set there? some senders leave the signature out "
        "without one), or a proxy removes it"
    )
    yield Finding(Cause.HEADER_MISSING, detail, certain=True)


def _unreadable(case: Case, scheme: Scheme) -> Iterator[Finding]:
    name = ground.missing(scheme, case.request)
    if name is not None:
        detail = f"the header {name} is signed too and did not come: a proxy removes it, or the sender leaves it out"
        yield Finding(Cause.HEADER_MISSING, detail, certain=True)
        return
    if scheme.items is not None:
        yield from _body(case)
        detail = "the body is not the JSON that this vendor signs: nothing in it can be proved"
        yield Finding(Cause.BODY_FORM, detail, certain=True)
        return
    if "{params}" in scheme.message and _presents(scheme, case):
        given = template.header(case.request, "content-type")
        detail = (
            f"the body is bound neither by its fields nor by a hash in the URL: Content-Type is {given or 'absent'}, "
            "the sender posts a form, or JSON with bodySHA256 in its query; a proxy changed header or query"
        )
        yield Finding(Cause.BODY_FORM, detail[:500], certain=False)
        return
    detail = f"{scheme.container.header} cannot be read: it must be {presentation.form(scheme)}"
    yield Finding(Cause.SIGNATURE_FORM, detail, certain=True)


def _no_digest(case: Case, scheme: Scheme) -> Finding | None:
    """Say that what came can be no signature of this algorithm; None when it may be one."""
    size = _SIZES.get(scheme.algorithm)
    if size is None or scheme.items is not None:
        return None
    sizes = {len(one.digest) for one in presentation.read(scheme, case.request)}
    if size in sizes:
        return None
    came = " or ".join(str(each) for each in sorted(sizes)[:4]) or "none that can be read"
    detail = (
        f"{scheme.container.header} holds no signature of this algorithm: that has {size} bytes, what came {came}; it "
        f"must read {presentation.form(scheme)}: was it cut off, or made by another algorithm?"
    )
    return Finding(Cause.SIGNATURE_FORM, detail, certain=True)


def _presents(scheme: Scheme, case: Case) -> bool:
    value = template.header(case.request, scheme.container.header)
    return value is not None and any(presentation.proper(scheme, value))


def _body(case: Case) -> Iterator[Finding]:
    body, said = bytes(case.request.body), template.header(case.request, "content-length") or ""
    if said.isascii() and said.isdigit() and len(said) < 12 and int(said) != len(body):  # noqa: PLR2004 fits any size
        what = "is empty" if not body else f"has {len(body)} bytes"
        detail = (
            f"the body {what}, Content-Length says {said}: it was cut off or replaced on the way (a body parser read "
            "it first?), or not all of it was given here"
        )
        yield Finding(Cause.BODY_TRUNCATED, detail, certain=True)
    elif _is_cut(case):
        detail = (
            "the body ends in the middle of its JSON: it was cut off on the way (a size limit of a proxy or queue?)"
        )
        yield Finding(Cause.BODY_TRUNCATED, detail, certain=True)
    if _REPLACED in body:
        detail = (
            "the body holds U+FFFD, the mark of bytes that were read as text of another character set: keep the bytes"
        )
        yield Finding(Cause.BODY_CHARSET, detail, certain=False)


def _is_cut(case: Case) -> bool:
    body = bytes(case.request.body)
    if not body or body.lstrip()[:1] not in {b"{", b"["} or len(body) > _LOOKED_AT:
        return not body and "{body}" in case.schemes[0].message and _says_json(case)
    try:
        json.loads(body)
    except json.JSONDecodeError as exc:
        return exc.pos >= len(exc.doc.rstrip()) or "Unterminated string" in exc.msg
    except (ValueError, RecursionError):
        return False
    return False


def _says_json(case: Case) -> bool:
    return "json" in (template.header(case.request, "content-type") or "").lower()


def _environment(case: Case, scheme: Scheme) -> Iterator[Finding]:
    found = _LIVE.search(bytes(case.request.body[:_LOOKED_AT]))
    if found is None or scheme.algorithm == "token":
        return
    mode, other = ("live", "test") if found[1] == b"true" else ("test", "live")
    detail = (
        f"this is a {mode}-mode event (livemode {found[1].decode()}): is the source's secret that of the {other}-mode "
        f"endpoint? Each has its own: store that of {mode} mode, or make a source for each"
    )
    yield Finding(Cause.SECRET_ENVIRONMENT, detail, certain=False)


def hidden(case: Case, scheme: Scheme) -> Finding | None:
    """Return the finding for a request whose proof was pasted from a redacted copy."""
    if scheme.container.kind == "query":
        values = [urls.parameter(case.request.url, scheme.container.header)]
    else:
        values = [template.header(case.request, scheme.container.header)]
    if not any(value is not None and presentation.HIDDEN in value for value in values):
        return None
    detail = "the proof was given redacted (***), as it stands in logs and refusals: give the value that was sent"
    return Finding(Cause.HEADER_HIDDEN, detail, certain=True)
