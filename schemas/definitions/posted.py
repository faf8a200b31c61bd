"""Entity events that somebody tells us of (`POST /events`): OpenMetadata's ChangeEvent as REST takes it.

Lives here: the model and its bounds, the event that it is, and the row that is kept. Not here: keeping it
(registry/objects/posted_events.py).
https://docs.open-metadata.org/latest/main-concepts/metadata-standard/schemas/type/changeevent
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from pydantic import Field

from schemas.definitions.base import Definition
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.entity_event import Delta, Description, EntityEvent, EventType, decode

FEED = "posted"
"""The feed that reads what was posted, as its cursor is called."""
MAX_EVENTS = 1_000
"""In one request."""
MAX_EVENT_BYTES = 256 << 10
MAX_FIELDS = 200
"""Of each list of a changeDescription."""
MAX_EVENT_ID = 36
_LAST_MS = 253_402_300_799_999
"""The end of the year 9999."""
_TEXT = r"^[^\x00-\x1f\x7f]*$"


class FieldChangeDefinition(Definition):
    """One changed field, by its dotted name."""

    name: Annotated[str, Field(min_length=1, max_length=1024, pattern=_TEXT)]
    old_value: Any = None
    new_value: Any = None


class ChangeDescriptionDefinition(Definition):
    """What changed in an entity; `changeSummary` is taken and not looked at."""

    fields_added: tuple[FieldChangeDefinition, ...] = Field(default=(), max_length=MAX_FIELDS)
    fields_updated: tuple[FieldChangeDefinition, ...] = Field(default=(), max_length=MAX_FIELDS)
    fields_deleted: tuple[FieldChangeDefinition, ...] = Field(default=(), max_length=MAX_FIELDS)
    previous_version: float | None = None
    change_summary: Any = None


class PostedEvent(Definition):
    """What `POST /events` takes: one thing that happened to an entity of any type.

    `eventId` (or `id`) makes it idempotent: told again, it is the same event. The entity is named by `entityId` or its
    own `id`, and by `entityFullyQualifiedName` or what it says itself. The members of OpenMetadata's ChangeEvent that
    say nothing more are taken and not looked at.
    """

    event_id: str | None = Field(default=None, pattern=rf"^[\x21-\x7e]{{1,{MAX_EVENT_ID}}}$")
    id: str | None = Field(default=None, pattern=rf"^[\x21-\x7e]{{1,{MAX_EVENT_ID}}}$")
    event_type: EventType
    entity_type: Annotated[str, Field(min_length=1, max_length=64, pattern=_TEXT)]
    entity_id: Annotated[str, Field(min_length=1, max_length=128, pattern=_TEXT)] | None = None
    entity_fully_qualified_name: Annotated[str, Field(min_length=1, max_length=1024, pattern=_TEXT)] | None = None
    entity: dict[str, Any] | str = Field(default_factory=dict)
    change_description: ChangeDescriptionDefinition | None = None
    timestamp: int | None = Field(default=None, ge=0, le=_LAST_MS)
    user_name: Annotated[str, Field(min_length=1, max_length=256, pattern=_TEXT)] | None = None
    previous_version: Any = None
    current_version: Any = None
    impersonated_by: Any = None
    domain: Any = None
    domains: Any = None
    incremental_change_description: Any = None

    @property
    def told_id(self) -> str | None:
        """Return the id that the caller gave."""
        return self.event_id or self.id

    def event(self, tenant: str, event_id: str, now_ms: int) -> EntityEvent:
        """Return the event; raises `Refused(invalid_definition)` when it does not say which entity it is about."""
        entity = _entity(self.entity)
        entity_id = self.entity_id or _text(entity, "id")
        if entity_id is None:
            raise _refused("/entityId", "name the entity: `entityId`, or `id` in `entity`")
        name = self.entity_fully_qualified_name or _text(entity, "fullyQualifiedName") or _text(entity, "name")
        change = self.change_description or ChangeDescriptionDefinition()
        return EntityEvent(
            event_id=event_id,
            tenant_id=tenant,
            event_type=self.event_type,
            entity_type=self.entity_type,
            entity_id=entity_id,
            entity_name=name or entity_id,
            at_ms=now_ms if self.timestamp is None else self.timestamp,
            entity={"id": entity_id, "type": self.entity_type, **entity},
            change=Description(
                _deltas(change.fields_added),
                _deltas(change.fields_updated),
                _deltas(change.fields_deleted),
                change.previous_version,
            ),
            user=self.user_name,
        )


@dataclass(frozen=True, slots=True)
class Posted:
    """One posted event as kept; `sequence` counts those of all tenants in the order of their transactions."""

    sequence: int
    tenant_id: str
    event_id: str
    document: str
    at_ms: int

    def event(self) -> EntityEvent:
        """Return the event."""
        return decode(self.document)


def _deltas(given: tuple[FieldChangeDefinition, ...]) -> tuple[Delta, ...]:
    return tuple(Delta(each.name, each.old_value, each.new_value) for each in given)


def _entity(given: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """Return the entity; OpenMetadata sends it as a JSON text in some releases."""
    if not isinstance(given, str):
        return given
    try:
        found = orjson.loads(given)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise _refused("/entity", "a JSON object, or a text that holds one")
    return found


def _text(entity: Mapping[str, Any], name: str) -> str | None:
    value = entity.get(name)
    return value[:1024] if isinstance(value, str) and value else None


def _refused(pointer: str, message: str) -> Refused:
    return Refused(Reason.INVALID_DEFINITION, f"{pointer}: {message}", errors=((pointer, message),))
