"""How old a signed timestamp may be, both ways; equality at the limit is accepted.

Vendors' own libraries check the past only; the future side is ours: a stolen clock would make a replay valid for years.
"""

import re
from datetime import UTC, datetime

from schemas.reasons import Reason
from schemas.signing.scheme import Freshness

_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_MAX_ISO = 40
_MS = 1000


def check(freshness: Freshness, text: str | None, now_s: float) -> Reason | None:
    """Return None when the received timestamp is fresh at `now_s` (epoch seconds), else one of the timestamp codes."""
    said_s = None if text is None else _seconds(freshness, text)
    if said_s is None:
        return Reason.TIMESTAMP_MISSING
    if now_s - said_s > freshness.past_s:
        return Reason.TIMESTAMP_STALE
    if said_s - now_s > freshness.future_s:
        return Reason.TIMESTAMP_FUTURE
    return None


def stamp(freshness: Freshness, now_s: float) -> str:
    """Write a timestamp as a sender would, the twin of `check`."""
    if freshness.unit == "iso":
        return datetime.fromtimestamp(int(now_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(int(now_s * _MS) if freshness.unit == "ms" else int(now_s))


def _seconds(freshness: Freshness, text: str) -> float | None:
    if freshness.unit == "iso":
        return _iso(text)
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) / _MS if freshness.unit == "ms" else int(text)


def _iso(text: str) -> float | None:
    """Read an RFC 3339 time; one without an offset says nothing."""
    if len(text) > _MAX_ISO:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.timestamp()
    except (ValueError, OverflowError):
        return None
