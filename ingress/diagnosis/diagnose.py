"""A refused request -> why, in words that say what to do: first what the time says, then one mistake that explains all.

Lives here: the order. Total and pure: no clock, no network; costs what its budget allows (case.py), so callers run it
off the loop.
"""

from dataclasses import replace

import orjson

from ingress.diagnosis import clock, guesses
from ingress.diagnosis.case import Budget, Case
from ingress.diagnosis.causes import Finding
from ingress.diagnosis.search import search
from schemas.reasons import Reason
from schemas.signing import Invalid, Scheme, container, template, verify_any
from schemas.vendors.base import TOKEN_PREFIX

MAX_FINDINGS = 4
MAX_DETAIL = 800
"""Words may name headers as the sender wrote them."""
_LOOKED_AT = 1 << 20
_ABOUT_TIME = frozenset({Reason.TIMESTAMP_STALE, Reason.TIMESTAMP_FUTURE, Reason.TIMESTAMP_MISSING})


def diagnose(case: Case, budget: Budget) -> tuple[Finding, ...]:
    """Return why the request is refused, the likeliest cause first; () when it is not."""
    held = [b"" if secret.value.startswith(TOKEN_PREFIX.encode()) else secret.value for secret in case.own]
    chosen, verdict = verify_any(case.schemes, case.request, held, case.now_s)
    if not isinstance(verdict, Invalid):
        return ()
    schemes = _asked(case, chosen)
    redacted = guesses.hidden(case, chosen)
    if redacted is not None:
        return (redacted,)
    match = search(case, schemes, budget)
    time = _time(chosen if match is None else match.scheme, case)
    found = [] if time is None else [time]
    if match is not None:
        found += match.findings
    elif time is None or verdict.reason not in _ABOUT_TIME:
        found += guesses.guesses(case, chosen, verdict.reason, budget)
    else:
        found += guesses.guesses(case, chosen, Reason.SIGNATURE_MISMATCH, budget)
    return tuple(replace(one, detail=one.detail[:MAX_DETAIL]) for one in dict.fromkeys(found))[:MAX_FINDINGS]


def _asked(case: Case, chosen: Scheme) -> tuple[Scheme, ...]:
    """Return the schemes that the request's headers ask for, the one that decided first."""
    asked = [
        scheme
        for scheme in case.schemes
        if scheme is chosen or all(template.header(case.request, name) == wanted for name, wanted in scheme.when)
    ]
    return tuple(sorted(asked, key=lambda scheme: scheme is not chosen))


def _time(scheme: Scheme, case: Case) -> Finding | None:
    rule = scheme.freshness
    if rule is None:
        return None
    if rule.source == "header":
        text = template.header(case.request, rule.name)
    elif rule.source == "param":
        value = template.header(case.request, scheme.container.header)
        said = None if value is None else container.read(scheme.container, value)
        if said is None:
            return None
        text = said.params.get(rule.name)
    else:
        text = _member(case.request.body, rule.name)
    if text is None and template.header(case.request, scheme.container.header) is None:
        return None
    return clock.finding(rule, text, case.now_s)


def _member(body: bytes | bytearray | memoryview, name: str) -> str | None:
    if len(body) > _LOOKED_AT:
        return None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    found = value.get(name) if isinstance(value, dict) else None
    return None if found is None else str(found)
