"""The entity event: what outbound webhooks tell, in OpenMetadata's words (spec section 10).

Made from the registry's log of changes, from records of `{tenant}.table`, from what `POST /events` takes and from
OpenMetadata's own change events. Its id is the same however often it is made or sent: UUIDv5 of where it came from.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from schemas.errors import Poison
from schemas.reasons import Reason

_SPACE = uuid.UUID("7c1b7b0e-2b0c-5a4e-9f43-0d8f2c1a6e55")
"""The namespace of ids of entity events; never changes."""


class EventType(StrEnum):
    """What happened to an entity."""

    CREATED = "entityCreated"
    UPDATED = "entityUpdated"
    SOFT_DELETED = "entitySoftDeleted"
    DELETED = "entityDeleted"


@dataclass(frozen=True, slots=True)
class Delta:
    """One changed field: dotted name (`webhookConfig.endpoint`), old and new JSON value, None = absent."""

    name: str
    old: Any = None
    new: Any = None


@dataclass(frozen=True, slots=True)
class Description:
    """OpenMetadata's changeDescription; `previous_version` None = not known."""

    added: tuple[Delta, ...] = ()
    updated: tuple[Delta, ...] = ()
    deleted: tuple[Delta, ...] = ()
    previous_version: float | None = None

    def names(self) -> frozenset[str]:
        """Return the names of all fields that changed."""
        return frozenset(delta.name for delta in (*self.added, *self.updated, *self.deleted))

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON form: fieldsAdded, fieldsUpdated, fieldsDeleted."""
        told: dict[str, Any] = {
            "fieldsAdded": [_delta(delta) for delta in self.added],
            "fieldsUpdated": [_delta(delta) for delta in self.updated],
            "fieldsDeleted": [_delta(delta) for delta in self.deleted],
        }
        return told if self.previous_version is None else {**told, "previousVersion": self.previous_version}


@dataclass(frozen=True, slots=True)
class EntityEvent:
    """One event. `at_ms` since the epoch; `entity` is the entity's JSON as it was told, without secrets.

    `entity_id` and `entity_name` (its full name) name it; `user` who changed it, None = not known.
    """

    event_id: str
    tenant_id: str
    event_type: EventType
    entity_type: str
    entity_id: str
    entity_name: str
    at_ms: int
    entity: Mapping[str, Any]
    change: Description
    user: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the payload's members before `webhookName` and `signature`, in their order."""
        return {
            "eventId": self.event_id,
            "eventType": self.event_type.value,
            "timestamp": self.at_ms,
            "tenantId": self.tenant_id,
            "entityType": self.entity_type,
            "entityId": self.entity_id,
            "entityFullyQualifiedName": self.entity_name,
            "userName": self.user,
            "entity": dict(self.entity),
            "changeDescription": self.change.to_wire(),
        }


def event_id(feed: str, position: object) -> str:
    """Return the id of the event that a feed holds at a position, for example ("changes", 17)."""
    return str(uuid.uuid5(_SPACE, f"{feed}\n{position}"))


def encode(event: EntityEvent) -> bytes:
    """Return the event as stored."""
    return orjson.dumps(event.to_wire())


def decode(value: bytes | str) -> EntityEvent:
    """Read a stored event; raises `Poison(bad_record)`."""
    try:
        told = orjson.loads(value)
        change = told["changeDescription"]
        return EntityEvent(
            event_id=told["eventId"],
            tenant_id=told["tenantId"],
            event_type=EventType(told["eventType"]),
            entity_type=told["entityType"],
            entity_id=told["entityId"],
            entity_name=told["entityFullyQualifiedName"],
            at_ms=told["timestamp"],
            entity=told["entity"],
            change=Description(
                _deltas(change["fieldsAdded"]),
                _deltas(change["fieldsUpdated"]),
                _deltas(change["fieldsDeleted"]),
                change.get("previousVersion"),
            ),
            user=told["userName"],
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise Poison(Reason.BAD_RECORD, f"no entity event: {error!r}") from error


def _delta(delta: Delta) -> dict[str, Any]:
    told: dict[str, Any] = {"name": delta.name}
    if delta.old is not None:
        told["oldValue"] = delta.old
    if delta.new is not None:
        told["newValue"] = delta.new
    return told


def _deltas(told: list[dict[str, Any]]) -> tuple[Delta, ...]:
    return tuple([Delta(each["name"], each.get("oldValue"), each.get("newValue")) for each in told]) if told else ()
