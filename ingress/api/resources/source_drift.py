"""`GET /sources/{id}/drift`: where a source's events no longer meet their schemas, since when, how often.

Read from the quarantine table through ports.TableReader: right after any restart, and free for the stage.
"""

from datetime import datetime

from pydantic import Field

from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Query, Route
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission

DAYS = 30
_DAY_MS = 86_400_000
_QUERY = (
    Query("days", "integer", f"how many days back, by receive time; default {DAYS}", minimum=1, maximum=90),
    Query("limit", "integer", "how many places are shown, the most frequent first", minimum=1, maximum=200),
)


class DriftSample(Definition):
    """The newest event that failed there: where it is, nothing of what it says."""

    event_id: str
    delivery_id: str
    vendor_event_id: str | None
    received_at: datetime


class DriftPlace(Definition):
    """One place that failed. `pointer` is into the event, `*` any index of an array; `open` = not resolved since."""

    event_type: str | None
    pinned: str | None = Field(alias="schema")
    reason: str
    pointer: str
    message: str
    count: int
    open: int
    first_at: datetime
    last_at: datetime
    sample: DriftSample


class Drift(Definition):
    """A source's drift. `events`: distinct events that failed; `complete` false: more failed than were looked at."""

    source: str
    since: datetime
    events: int
    open: int
    places: list[DriftPlace]
    more_places: int
    complete: bool


async def get_source_drift(call: Call) -> Answer:
    """Show where a source's events fail their schemas."""
    record = await call.threads.run(call.env.registry.sources.get, call.tenant, call.named("id"))
    days, limit = int(call.query.get("days", DAYS)), int(call.query.get("limit", 50))
    since_ms = call.env.clock.time_ns() // 1_000_000 - days * _DAY_MS
    found = await call.env.tables.drift(call.tenant, record.id, since_ms, limit)
    return Answer({"source": record.name, "since": shapes.instant(since_ms), **found})


ROUTES = (
    Route("GET", "/sources/{id}/drift", get_source_drift, "Show where a source's events fail their schemas",
          Permission.SOURCES_READ, Drift, query=_QUERY),
)  # fmt: skip
