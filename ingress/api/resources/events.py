"""`/events`: what anyone tells of changes to entities of any type; outbound webhooks carry it on (spec section 10).

Taken is OpenMetadata's ChangeEvent, one or an array; 202: it is kept, and reaches who has a webhook for it.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import orjson

from ingress.api import paging, reading
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Query, Route
from schemas import ids
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.posted import MAX_EVENT_BYTES, MAX_EVENTS, PostedEvent
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.entity_event import EntityEvent, EventType, encode

_AFTER = Query("after", "integer", "told after this time, in ms since the epoch", maximum=99_999_999_999_999)
_YIELD = 100
"""Events are read in the event loop, so many at a time."""


class TakenEvent(Definition):
    """The id of one event: the caller's, or one that was made for it."""

    event_id: str


class TakenEvents(Definition):
    """What was taken, in the order of the request; `new`: how many of them were not known yet."""

    items: list[TakenEvent]
    new: int


class FieldChangeAnswer(Definition):
    """One changed field."""

    name: str
    old_value: Any = None
    new_value: Any = None


class ChangeDescriptionAnswer(Definition):
    """What changed."""

    fields_added: list[FieldChangeAnswer]
    fields_updated: list[FieldChangeAnswer]
    fields_deleted: list[FieldChangeAnswer]
    previous_version: float | None = None


class EventAnswer(Definition):
    """An event as it was taken; times in ms since the epoch."""

    event_id: str
    event_type: EventType
    timestamp: int
    tenant_id: str
    entity_type: str
    entity_id: str
    entity_fully_qualified_name: str
    user_name: str | None
    entity: dict[str, Any]
    change_description: ChangeDescriptionAnswer


class EventPage(Definition):
    """One page of events, oldest first."""

    items: list[EventAnswer]
    next_cursor: str | None


async def post_events(call: Call) -> Answer:
    """Take one event or many: all of them, or none when one is refused."""
    events = await _events(call)
    new = await call.threads.run(call.env.registry.posted_events.add, call.tenant, events)
    return Answer({"items": [{"eventId": event.event_id} for event in events], "new": new})


async def list_events(call: Call) -> Answer:
    """List what was posted, oldest first, as long as the log of deliveries is kept."""
    since_ms = int(call.query.get("after", -1)) + 1
    page = await call.threads.run(call.env.registry.posted_events.page, call.tenant, call.page, since_ms)
    return Answer(paging.page([row.event().to_wire() for row in page.items], page.next_cursor))


async def _events(call: Call) -> list[EntityEvent]:
    """Return the events of the body; raises `Refused` with the pointer of the first that is none."""
    many = isinstance(call.value, list)
    given = call.value if many else [call.value]
    if not 1 <= len(given) <= MAX_EVENTS:
        raise _refused("", f"1 to {MAX_EVENTS} events")
    now_ms = call.env.clock.time_ns() // 1_000_000
    events = []
    for number, value in enumerate(given):
        if number % _YIELD == _YIELD - 1:
            await asyncio.sleep(0)
        try:
            events.append(_event(call, value, now_ms))
        except Refused as error:
            if many:
                raise _at(f"/{number}", error) from None
            raise
    return events


def _event(call: Call, value: Any, now_ms: int) -> EntityEvent:  # noqa: ANN401 JSON
    if not isinstance(value, dict):
        raise _refused("", "not an object")
    posted = reading.definition(PostedEvent, value)
    made = posted.told_id or str(ids.uuid7(now_ms, call.env.random_bytes(10)))
    event = posted.event(call.tenant, made, now_ms)
    try:
        size = len(encode(event))
    except orjson.JSONEncodeError:
        raise _refused("/entity", "nested too deeply") from None
    if size > MAX_EVENT_BYTES:
        raise Refused(Reason.BODY_TOO_LARGE, f"an event has at most {MAX_EVENT_BYTES} bytes, this one has {size}")
    return event


def _at(pointer: str, error: Refused) -> Refused:
    """Return a refusal of one event as that of the array."""
    errors: Iterable[tuple[str, str]] = error.errors or (("", error.detail),)
    told = tuple((f"{pointer}{inner}", message) for inner, message in errors)
    return Refused(error.reason, f"event {pointer}: {error.detail}", errors=told)


def _refused(pointer: str, message: str) -> Refused:
    return Refused(Reason.INVALID_DEFINITION, f"{pointer or '/'}: {message}", errors=((pointer, message),))


EXAMPLE = {
    "eventType": "entityUpdated",
    "entityType": "table",
    "entityId": "3c0f6b52-9d4e-4c39-8f0e-5a0f4c1f7a11",
    "entityFullyQualifiedName": "warehouse.sales.orders",
    "entity": {"tags": [{"tagFQN": "PII.Sensitive"}]},
    "changeDescription": {"fieldsUpdated": [{"name": "description", "oldValue": "", "newValue": "All orders"}]},
}

ROUTES = (
    Route("POST", "/events", post_events, "Tell of changes to entities, one event or an array", Permission.EVENTS_WRITE,
          TakenEvents, status=202, takes=PostedEvent, many=MAX_EVENTS, example=EXAMPLE),
    Route("GET", "/events", list_events, "List events that were posted", Permission.EVENTS_READ, EventPage,
          query=(_AFTER, *shapes.PAGE)),
)  # fmt: skip
