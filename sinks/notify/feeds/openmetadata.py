"""From a clean event of `{tenant}.event.openmetadata` to an entity event; pure.

Lives here: OpenMetadata's ChangeEvent in whatever release's form (entity as object or JSON text), and who listens.
Not here: reading the topic (topics.py). The vendor's id is kept. What is no change of an entity (threads, posts, tests,
`entityNoChange`) is none.
https://docs.open-metadata.org/latest/main-concepts/metadata-standard/schemas/type/changeevent
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson

from schemas.definitions.posted import MAX_EVENT_ID
from schemas.definitions.view import TopicView
from schemas.errors import Poison
from schemas.reasons import Reason
from schemas.topics import Kind
from schemas.wire.entity_event import Delta, Description, EntityEvent, EventType, event_id
from sinks.notify.feeds.entities import MAX_BYTES, bounded, size
from sinks.notify.match.tenant import Matcher

FEED = "openmetadata"
PLATFORM = "openmetadata"
MAX_FIELDS = 500
"""Of each list of a changeDescription; what is past it is not told."""
_MAX_NAME = 1024
_TYPES: Mapping[str, EventType] = {
    "entityCreated": EventType.CREATED,
    "entityUpdated": EventType.UPDATED,
    "entityFieldsChanged": EventType.UPDATED,
    "entityRestored": EventType.UPDATED,
    "entitySoftDeleted": EventType.SOFT_DELETED,
    "entityDeleted": EventType.DELETED,
}
"""OpenMetadata's words for what changes an entity, and ours."""


def listens(topic: TopicView, matcher: Matcher) -> int | None:
    """Return the time in ms from which a tenant's webhooks want a topic's records; None: they want none."""
    return matcher.since_ms if (topic.kind, topic.platform) == (Kind.EVENT, PLATFORM) else None


def read(tenant: str, value: bytes) -> tuple[EntityEvent | None, int]:
    """Return the event of a clean event, None when it is none, and when it was received.

    Raises `Poison(bad_record)` for what is no clean event.
    """
    try:
        clean = orjson.loads(value)
        told, own, received = clean["payload"], clean["eventId"], clean["receivedAt"]
        at_ms = round(datetime.fromisoformat(received).timestamp() * 1000)
    except (ValueError, KeyError, TypeError) as error:
        raise Poison(Reason.BAD_RECORD, f"no clean event: {error!r}") from error
    return (event_of(tenant, told, str(own), at_ms) if isinstance(told, Mapping) else None), at_ms


def event_of(tenant: str, told: Mapping[str, Any], own_id: str, received_ms: int) -> EntityEvent | None:
    """Return the entity event of a ChangeEvent; `own_id`: that of the clean event. None when it is none."""
    event_type = _TYPES.get(str(told.get("eventType")))
    entity = _entity(told.get("entity"))
    entity_type = _text(told, "entityType")
    entity_id = _text(told, "entityId") or _text(entity, "id")
    if event_type is None or entity_type is None or entity_id is None:
        return None
    at = told.get("timestamp")
    name = _text(told, "entityFullyQualifiedName") or _text(entity, "fullyQualifiedName") or _text(entity, "name")
    return EntityEvent(
        event_id=_id(told, own_id),
        tenant_id=tenant,
        event_type=event_type,
        entity_type=entity_type,
        entity_id=entity_id[:128],
        entity_name=name or entity_id,
        at_ms=at if isinstance(at, int) and not isinstance(at, bool) and 0 <= at < 1 << 53 else received_ms,
        entity=bounded({"id": entity_id, "type": entity_type, **entity}),
        change=_description(told),
        user=_text(told, "userName"),
    )


def _id(told: Mapping[str, Any], own_id: str) -> str:
    given = _text(told, "id") or _text(told, "eventId")
    fits = given is not None and len(given) <= MAX_EVENT_ID and given.isascii() and given.isprintable()
    return given if given is not None and fits else event_id(FEED, own_id)


def _entity(given: Any) -> Mapping[str, Any]:  # noqa: ANN401 JSON
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError:
            return {}
    return given if isinstance(given, Mapping) else {}


def _description(told: Mapping[str, Any]) -> Description:
    given = told.get("changeDescription")
    if not isinstance(given, Mapping):
        return Description()
    previous = given.get("previousVersion", told.get("previousVersion"))
    added, updated, deleted = (
        tuple(_deltas(given.get(name))) for name in ("fieldsAdded", "fieldsUpdated", "fieldsDeleted")
    )
    if size([[each.old, each.new] for each in (*added, *updated, *deleted)]) > MAX_BYTES:
        added, updated, deleted = (tuple(Delta(each.name) for each in some) for some in (added, updated, deleted))
    version = float(previous) if isinstance(previous, int | float) and not isinstance(previous, bool) else None
    return Description(added, updated, deleted, version)


def _deltas(given: Any) -> Iterable[Delta]:  # noqa: ANN401 JSON
    for each in given[:MAX_FIELDS] if isinstance(given, list) else ():
        name = each.get("name") if isinstance(each, Mapping) else None
        if isinstance(name, str) and name:
            yield Delta(name[:_MAX_NAME], each.get("oldValue"), each.get("newValue"))


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value[:_MAX_NAME] if isinstance(value, str) and value else None
