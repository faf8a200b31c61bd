"""One scheme with what a request presents for it: signatures, parameters, keys, and headers under alike names.

Lives here: the ground on which search.py tries. Not here: trying.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import structs

from ingress.diagnosis import keys
from ingress.diagnosis import presented as presentation
from ingress.diagnosis.case import Case
from ingress.diagnosis.causes import Cause, Finding
from ingress.diagnosis.keys import Key
from ingress.diagnosis.presented import Presented
from schemas.signing import Scheme, SignedRequest, container, template
from schemas.signing.scheme import MAX_HEADER

_HEADERS = re.compile(r"\{h\.([A-Za-z0-9-]+)\}")
_TIME_PARAMETER = re.compile(r"(?:^|[,;\s])t=([0-9]{6,20})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ground:
    """One scheme with what the request presents for it; `repaired`: headers that stood under other names."""

    scheme: Scheme
    request: SignedRequest
    presented: tuple[Presented, ...]
    params: Mapping[str, str]
    repaired: tuple[Finding, ...] = ()
    own: tuple[Key, ...] = field(default=(), repr=False)


def ground_of(scheme: Scheme, case: Case) -> Ground:
    """Return the ground of a scheme for a case; total."""
    request, repaired = _with_headers(scheme, case.request)
    own = tuple(key for secret in case.own for key in keys.plain(scheme, secret))
    return Ground(scheme, request, presentation.read(scheme, request), _params(scheme, request), repaired, own)


def _with_headers(scheme: Scheme, request: SignedRequest) -> tuple[SignedRequest, tuple[Finding, ...]]:
    """Return the request with headers that the message needs and that stand under an alike name."""
    added: list[tuple[str, str]] = []
    findings: list[Finding] = []
    for name in _HEADERS.findall(scheme.message):
        if template.header(request, name) is not None:
            continue
        for given, value in request.headers:
            if presentation.alike(given) == presentation.alike(name):
                added.append((name, value))
                detail = f"{name} is signed too and came as {given}: stop the proxy that renames headers"
                findings.append(Finding(Cause.HEADER_NAME, detail, certain=True))
                break
    if added:
        request = structs.replace(request, headers=(*added, *request.headers), by_name=None)
    return request, tuple(findings)


def _params(scheme: Scheme, request: SignedRequest) -> Mapping[str, str]:
    """Return the parameters of the signature header, the time also where the header is not written as it should be."""
    if scheme.container.kind != "kv":
        return {}
    names = (scheme.container.header, *presentation.aliases(scheme, request))
    for value in (template.header(request, name) for name in names):
        said = None if value is None else container.read(scheme.container, value)
        if said is not None and scheme.container.timestamp in said.params:
            return said.params
        time = _TIME_PARAMETER.search((value or "")[:MAX_HEADER])
        if time is not None:
            return {scheme.container.timestamp: time[1]}
    return {}


def missing(scheme: Scheme, request: SignedRequest) -> str | None:
    """Return the name of a header that is signed and not there."""
    return next((name for name in _HEADERS.findall(scheme.message) if template.header(request, name) is None), None)
