"""Why a signed time was refused: units, time zones, formats, and clocks that are simply wrong.

Lives here: reading a time in every way it may be meant. Not here: how old it may be (schemas/signing/freshness.py).
"""

import re
from datetime import UTC, datetime

from ingress.diagnosis.causes import Cause, Finding
from schemas.reasons import Reason
from schemas.signing import Freshness, freshness

_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,9})?", re.ASCII)
_UNITS = ((1.0, "seconds"), (1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds"))
_WORDS = {"s": "whole seconds since 1970", "ms": "whole milliseconds since 1970", "iso": "RFC 3339 with an offset"}
_DAY_S, _HOUR_S = 86_400, 3_600
_PLAUSIBLE_S = 400 * _DAY_S
_ZONE_S, _NEAR_S = 14 * _HOUR_S, 60
_MAX_TEXT = 40
_LATE = "or the request came late: a retry must be signed anew"


def finding(rule: Freshness, text: str | None, now_s: float) -> Finding | None:
    """Return what is wrong with a received time at `now_s` (epoch seconds); None when it is fresh."""
    reason = freshness.check(rule, text, now_s)
    if reason is None:
        return None
    where = f"the signed time ({rule.name})"
    if text is None:
        return Finding(Cause.HEADER_MISSING, f"{where} is not there: send it, in {_WORDS[rule.unit]}", True)
    if reason is Reason.TIMESTAMP_MISSING:
        return _unreadable(rule, text, where, now_s)
    said_s = float(text) / (1000 if rule.unit == "ms" else 1) if rule.unit != "iso" else _iso(text)
    if said_s is None:
        return _unreadable(rule, text, where, now_s)
    unit = None if rule.unit == "iso" else _unit(rule, float(text), said_s, now_s)
    if unit is not None:
        return Finding(Cause.CLOCK_UNIT, f"{where} is in {unit}, this source takes {_WORDS[rule.unit]}", True)
    return _off(rule, where, now_s - said_s)


def _unreadable(rule: Freshness, text: str, where: str, now_s: float) -> Finding:
    shape = f"{where} cannot be read"
    if _NUMBER.fullmatch(text.strip()):
        number = float(text)
        near = next((name for unit, name in _UNITS if abs(number / unit - now_s) < _PLAUSIBLE_S), "a number")
        shape = f"{where} is {near}" + (" with a fraction" if "." in text else "")
    elif _iso(text.strip()) is not None or re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[A-Z][a-z]{2}, ", text):
        shape = f"{where} is a date" + ("" if rule.unit != "iso" else " without an offset from UTC")
    return Finding(Cause.CLOCK_FORMAT, f"{shape}: send {_WORDS[rule.unit]}", True)


def _unit(rule: Freshness, number: float, said_s: float, now_s: float) -> str | None:
    """Name the unit in which a number would be near now, when it is not near in the right one."""
    if abs(said_s - now_s) < _PLAUSIBLE_S:
        return None
    right = 1e3 if rule.unit == "ms" else 1.0
    return next((name for unit, name in _UNITS if unit != right and abs(number / unit - now_s) < _PLAUSIBLE_S), None)


def _off(rule: Freshness, where: str, age_s: float) -> Finding:
    side, limit = ("behind", rule.past_s) if age_s > 0 else ("ahead", rule.future_s)
    off_s = abs(age_s)
    hours = round(off_s / _HOUR_S * 2) / 2
    if hours > 0 and off_s <= _ZONE_S + _NEAR_S and abs(off_s - hours * _HOUR_S) <= _NEAR_S:
        said = f"{hours:g} hour{'' if hours == 1 else 's'}"
        detail = (
            f"{where} is {said} {side} almost to the second: the sender's clock is set to local time, or it "
            "computes the time in a time zone; sign UTC (seconds since 1970 know no zone)"
        )
        return Finding(Cause.CLOCK_TIME_ZONE, detail + (f", {_LATE}" if age_s > 0 else ""), certain=age_s < 0)
    detail = f"{where} is {_span(off_s)} {side}, {limit} s are allowed: set the sender's clock by NTP"
    return Finding(Cause.CLOCK_OFF, detail + (f", {_LATE}" if age_s > 0 else ", and check ours"), certain=True)


def _span(seconds: float) -> str:
    if seconds < 2 * _HOUR_S:
        return f"{seconds:.0f} s"
    return f"{seconds / _HOUR_S:.1f} h" if seconds < 2 * _DAY_S else f"{seconds / _DAY_S:.0f} days"


def _iso(text: str) -> float | None:
    if len(text) > _MAX_TEXT:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
