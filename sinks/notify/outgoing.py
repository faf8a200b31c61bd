"""The joints between formats, egress and engine: one request as it goes out, and what came back."""

from dataclasses import dataclass, field

from schemas.reasons import Reason


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One POST: exact bytes, and headers in order, signatures among them; `shown` is what the log may keep of them."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    shown: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to: a status with the answer's head and bounded body, or a `reason` why there was none."""

    status: int | None
    reason: Reason | None
    detail: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    duration_ms: int
    retry_after_s: float | None = None
