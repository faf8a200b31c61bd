"""What a source does past its capacity (spec section 9): the policy, its thresholds and, for `shed`, its loss budget.

Lives here: what REST takes. What a backlog means by these thresholds is `schemas/overload.py`; who measures it is the
stage and the writers (`schemas/wire/pressure.py`), who acts on it the ingress.
"""

from typing import Literal

from pydantic import Field, model_validator

from schemas.definitions.base import Definition

Policy = Literal["queue", "reject", "shed"]
MAX_EVENTS = 10**12
MAX_AGE_S = 30 * 86_400
MAX_BYTES = 10**15


class Threshold(Definition):
    """A backlog of so many records, or whose oldest record is so old: whichever comes first."""

    events: int = Field(ge=1, le=MAX_EVENTS)
    age_seconds: float = Field(ge=1, le=MAX_AGE_S, allow_inf_nan=False)


class Bound(Threshold):
    """The threshold past which nothing more is taken; `bytes` of raw records beside the other two."""

    bytes: int = Field(ge=1, le=MAX_BYTES)


class Shed(Definition):
    """What a shedding source keeps: `keep_ratio` of its deliveries, and how much it may lose in all.

    The loss budget is `loss_ratio` of the deliveries of a window of `window_seconds`; spent, the source rejects.
    """

    keep_ratio: float = Field(default=0.1, ge=0, lt=1)
    loss_ratio: float = Field(default=0.01, gt=0, le=1)
    window_seconds: int = Field(default=3600, ge=60, le=86_400)


class Overload(Definition):
    """The policy and the three thresholds, each past the one before it.

    From `warn` on an alert is open and `queue` answers slower; past `alarm` the second alert is open, `queue` answers
    at the vendor's deadline, `reject` refuses and `shed` sheds; past `bound` nothing is taken. Without a policy: the
    vendor's (`queue` for one that never tries again).
    """

    policy: Policy | None = None
    warn: Threshold = Threshold(events=100_000, age_seconds=60)
    alarm: Threshold = Threshold(events=1_000_000, age_seconds=600)
    bound: Bound = Bound(events=100_000_000, age_seconds=86_400, bytes=100_000_000_000)
    shed: Shed = Shed()

    @model_validator(mode="after")
    def _thresholds_rise(self) -> "Overload":
        for lower, upper, names in ((self.warn, self.alarm, "warn, alarm"), (self.alarm, self.bound, "alarm, bound")):
            if lower.events > upper.events or lower.age_seconds > upper.age_seconds:
                raise ValueError(f"{names}: the thresholds must not fall")
        return self
