"""How old a signed timestamp may be, both ways; equality at the limit is accepted.

Vendors' own libraries check the past only; the future side is ours: a stolen clock would make a replay valid for years.
"""

import re

from schemas.reasons import Reason
from schemas.signing.scheme import Freshness

_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_MS = 1000


def check(freshness: Freshness, text: str | None, now_s: float) -> Reason | None:
    """Return None when the received timestamp is fresh at `now_s` (epoch seconds), else one of the timestamp codes."""
    if text is None or not _NUMBER.fullmatch(text):
        return Reason.TIMESTAMP_MISSING
    said_s = int(text) / _MS if freshness.unit == "ms" else int(text)
    if now_s - said_s > freshness.past_s:
        return Reason.TIMESTAMP_STALE
    if said_s - now_s > freshness.future_s:
        return Reason.TIMESTAMP_FUTURE
    return None


def stamp(freshness: Freshness, now_s: float) -> str:
    """Write a timestamp as a sender would, the twin of `check`."""
    return str(int(now_s * _MS) if freshness.unit == "ms" else int(now_s))
