"""What follows from a backlog: pure. One source's policy, its thresholds and its backlog -> what its requests meet.

Lives here: the slow-accept curve, who is refused and until when, the sample that a shedding source keeps. Not here:
what is known of the backlog (watch.py), what may still be lost (budget.py). Rules: spec section 9, ingress/README.md.
"""

import math
from collections.abc import Callable
from hashlib import blake2b
from typing import Literal

import msgspec

from schemas.definitions.overload import Overload, Policy
from schemas.overload import Backlog, Level
from schemas.reasons import Reason
from schemas.vendors.base import Vendor

MARGIN_SHARE = 0.2
MARGIN_S = 1.0
"""What a delayed answer stays below the vendor's deadline: a fifth of it, at least a second for the way there."""
MIN_RETRY_S = 2.0
MAX_RETRY_S = 300.0
UNKNOWN_RETRY_S = 30.0
"""Retry-After while nobody knows how fast the backlog goes."""
_JITTER = 0.5
_TOO_MANY_REQUESTS = 429
_HASHES = 1 << 64
Fate = Literal["kept", "shed", "refused"]
MayLose = Callable[[], bool]
"""Takes one delivery from the loss budget; False: it is spent, or nobody knows of one."""


class Strain(msgspec.Struct, frozen=True):
    """What the requests of one source meet now. A source whose requests meet nothing has none.

    `refused`: why none is taken at all; `delay_s`: from the request's begin to its 2xx; `sheds`: only the sample
    (`keep_ratio`) is kept, as long as `may_lose`. `retry_s`: until the backlog is gone, before jitter.
    """

    level: Level
    policy: Policy
    delay_s: float = 0.0
    refused: Reason | None = None
    sheds: bool = False
    keep_ratio: float = 1.0
    retry_s: float = UNKNOWN_RETRY_S


def policy(overload: Overload, vendor: Vendor) -> Policy:
    """Return a source's policy: its own, else its vendor's."""
    return overload.policy or vendor.overload


def strain(
    level: Level, backlog: Backlog, drained_per_s: float | None, overload: Overload, vendor: Vendor
) -> Strain | None:
    """Return what the requests of a source meet; None when they are taken as ever."""
    chosen = policy(overload, vendor)
    retry_s = drain_s(backlog, drained_per_s)
    if level >= Level.BOUND:
        return Strain(level, chosen, refused=Reason.BACKLOG_BOUND, retry_s=retry_s)
    if chosen == "queue":
        wait = delay_s(level, backlog, overload, vendor.deadline_s)
        return Strain(level, chosen, delay_s=wait, retry_s=retry_s) if wait > 0 else None
    if level < Level.ALARM:
        return None
    if chosen == "reject":
        return Strain(level, chosen, refused=Reason.BACKLOG_ALARM, retry_s=retry_s)
    return Strain(level, chosen, sheds=True, keep_ratio=overload.shed.keep_ratio, retry_s=retry_s)


def longest_s(deadline_s: float) -> float:
    """Return how long after its begin a request is answered at the latest: the vendor's deadline less the margin."""
    return max(0.0, deadline_s - max(MARGIN_S, MARGIN_SHARE * deadline_s))


def delay_s(level: Level, backlog: Backlog, overload: Overload, deadline_s: float) -> float:
    """Return the slow-accept curve at a backlog: 0 at `warn`, straight up to the longest at `alarm`."""
    if level >= Level.ALARM:
        return longest_s(deadline_s)
    if level < Level.WARN:
        return 0.0
    low, high = overload.warn, overload.alarm
    place = max(
        _place(backlog.events, low.events, high.events), _place(backlog.age_s, low.age_seconds, high.age_seconds)
    )
    return place * longest_s(deadline_s)


def _place(value: float, low: float, high: float) -> float:
    if high <= low:
        return 1.0 if value >= low else 0.0
    return min(1.0, max(0.0, (value - low) / (high - low)))


def drain_s(backlog: Backlog, drained_per_s: float | None) -> float:
    """Return how long the backlog takes to be gone; bounded, so that no sender stays away for ever."""
    if drained_per_s is None:
        return UNKNOWN_RETRY_S
    most = MAX_RETRY_S / (1 + _JITTER)
    if drained_per_s * most <= backlog.events:
        return most
    return max(MIN_RETRY_S, backlog.events / drained_per_s)


def retry_after_s(strain: Strain, jitter: float) -> int:
    """Return Retry-After in whole seconds; `jitter` 0 to 1 adds up to half: senders must not come back together."""
    return math.ceil(strain.retry_s * (1 + _JITTER * jitter))


def status(reason: Reason, vendor: Vendor) -> int:
    """Return the status of an overload: where a 4xx loses the event or the hook, 503 in place of 429."""
    return vendor.overload_status if reason.status == _TOO_MANY_REQUESTS else reason.status


def is_kept(key: bytes, keep_ratio: float) -> bool:
    """Tell whether a delivery is in the sample: always the same for the same key, in whichever worker."""
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") < keep_ratio * _HASHES


def fate(strain: Strain, key: bytes, may_lose: MayLose) -> Fate:
    """Decide about a proven delivery of a shedding source; whoever is in the sample costs the budget nothing."""
    if is_kept(key, strain.keep_ratio):
        return "kept"
    return "shed" if may_lose() else "refused"
