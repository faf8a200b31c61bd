"""A source: one registered webhook sender with its auth, pins, dedupe and overload policy (spec section 5)."""

import fnmatch
import re
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from schemas import names
from schemas.definitions.auth_any import AnyAuth
from schemas.definitions.base import Definition
from schemas.definitions.overload import Overload
from schemas.definitions.parse import Parse

DAY_S = 86_400
MAX_PINS = 2_000
_WILD = re.compile(r"\[!?\]?[^\]]*\]|[*?]")
_PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}@[1-9][0-9]{0,8}")

Platform = Annotated[str, AfterValidator(names.platform)]
SourceName = Annotated[str, AfterValidator(lambda value: names.label("source", value))]
Glob = Annotated[str, Field(min_length=1, max_length=256)]


class EventTypes(Definition):
    """Which events are taken: `deny` wins; an empty `allow` takes all. Globs over the event type.

    `repositories`: globs over `repository.full_name` of the payload (GitHub, Bitbucket), without case; events of no
    repository pass. What is kept out is counted as `dropped_denied` and is nowhere else.
    """

    allow: tuple[Glob, ...] = Field(default=(), max_length=200)
    deny: tuple[Glob, ...] = Field(default=(), max_length=200)
    repositories: tuple[Glob, ...] = Field(default=(), max_length=200)


class Dedupe(Definition):
    """How events are told apart: window (7 to 30 days of broker time), a JSON pointer to the id, the last resort."""

    window_seconds: int = Field(default=7 * DAY_S, ge=7 * DAY_S, le=30 * DAY_S)
    path: str | None = Field(default=None, max_length=256, pattern=r"^/")
    fallback: Literal["delivery", "bodyHash"] | None = None


class Retention(Definition):
    """How long topics keep records, in days."""

    raw_days: int = Field(default=14, ge=1, le=365)
    event_days: int = Field(default=14, ge=1, le=365)
    quarantine_days: int = Field(default=30, ge=1, le=365)


class Flood(Definition):
    """When a source counts as degraded: share of failures, or failures in a row."""

    ratio: float | None = Field(default=None, gt=0, le=1)
    streak: int | None = Field(default=None, ge=1, le=1_000_000)


class SourceDefinition(Definition):
    """What `POST /sources` takes. `pins` maps event-type globs to `subject@version`; see `pin_for`."""

    platform: Platform
    name: SourceName | None = None
    description: str = Field(default="", max_length=2000)
    auth: AnyAuth
    pins: dict[Glob, Annotated[str, Field(max_length=160)]] = Field(default_factory=dict, max_length=MAX_PINS)
    unpinned: Literal["allow", "quarantine", "drop"] | None = None
    event_types: EventTypes = EventTypes()
    dedupe: Dedupe = Dedupe()
    overload: Overload = Overload()
    partitioning: Literal["event", "source"] | None = None
    parse: Parse = Parse()
    retention: Retention = Retention()
    silence_after_seconds: int | None = Field(default=None, ge=60, le=90 * DAY_S)
    flood: Flood = Flood()
    production: bool = False
    enabled: bool = True
    paused: bool = False

    @model_validator(mode="after")
    def _pins_name_versions(self) -> "SourceDefinition":
        for glob, pin in self.pins.items():
            if not _PIN.fullmatch(pin):
                raise ValueError(f"pin {glob!r}: {pin!r} is not `subject@version`, for example `github.push@1`")
        return self

    @property
    def unpinned_policy(self) -> str:
        """Return what happens to an event type without a pin: quarantine in production, else allow, unless set."""
        return self.unpinned or ("quarantine" if self.production else "allow")


IMMUTABLE = ("platform", "partitioning")
"""Rule 4: a source's partitioning and platform never change."""


def pin_for(pins: dict[str, str], event_type: str) -> str | None:
    """Return the pin of an event type: the most specific glob wins.

    The exact name first, then the glob with the most letters that stand for themselves, then the one with the fewest
    `*`, then the first by name.
    """
    exact = pins.get(event_type)
    if exact is not None:
        return exact
    best = min((glob for glob in pins if matches(glob, event_type)), key=_generality, default=None)
    return None if best is None else pins[best]


def _generality(glob: str) -> tuple[int, int, str]:
    return -len(_WILD.sub("", glob)), glob.count("*"), glob


def matches(glob: str, event_type: str) -> bool:
    """Tell whether an event type matches a glob (`*`, `?`, `[...]`), case-sensitive."""
    return _compiled(glob).match(event_type) is not None


@lru_cache(maxsize=10_000)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob))
