"""From a row of the registry's log of changes to an entity event; pure.

Lives here: which rows are events, of what kind, and what is told of them: the table in README.md. Not here: reading the
log (changes.py). A row's event has the same id whenever it is made.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.definitions.entity import Entity
from schemas.wire.change import Change, FieldChange, Op
from schemas.wire.entity_event import Delta, Description, EntityEvent, EventType, event_id
from sinks.notify.feeds.entities import HIDDEN, address, bounded

FEED = "changes"
TYPES: Mapping[str, str] = {
    "source": "source",
    "stream": "stream",
    "subject": "schema",
    "key": "key",
    "role": "role",
    "webhook": "webhook",
    "contact": "contact",
    "tenant": "tenant",
    "alert": "alert",
}
"""The log's words for kinds of objects, and those of entity events. What is not here (topic, job) is no event."""
_PATHS = {"subject": "schemas", "alert": "alerts", "webhook": "webhooks", "contact": "contacts"}
_INNER: Mapping[str, frozenset[str]] = {
    "source": frozenset({"open"}),
    "role": frozenset({"open"}),
    "stream": frozenset({"generation", "accept_loss", "acceptLoss"}),
}
"""Members that tell how the system does its work: a row that changes nothing else is no event."""
_LISTED = frozenset({"urls", "secrets"})
"""Members whose entries are told by the member's name alone: which URL or secret is nobody's business."""
_SECRET = frozenset({"secret", "secrets", "secretKey", "password", "token", "urls"})
_ADDRESSES = frozenset({"webhookConfig.endpoint", "endpoint"})
_HEADERS = "webhookConfig.headers"


def event_of(change: Change, entity: Entity | None, key: Entity | None = None) -> EntityEvent | None:
    """Return the event of a change, None when it is none.

    `entity`: the object as it is now, None = it is gone; `key`: the one that changed it, which has a name for people.
    """
    kind = TYPES.get(change.entity_type)
    if kind is None or change.tenant_id is None:
        return None
    deltas = tuple(_deltas(change))
    event_type = _event_type(change, deltas)
    if event_type is None:
        return None
    told = _entity(change, entity, gone=event_type is EventType.DELETED)
    return EntityEvent(
        event_id=event_id(FEED, change.revision),
        tenant_id=change.tenant_id,
        event_type=event_type,
        entity_type=kind,
        entity_id=change.entity_id,
        entity_name=told["fullyQualifiedName"],
        at_ms=change.at_ms,
        entity=bounded(told),
        change=_description(change, event_type, deltas),
        user=(key.name if key is not None else "") or change.actor,
    )


def _event_type(change: Change, deltas: Sequence[Delta]) -> EventType | None:
    if change.entity_type == "webhook" and any(delta.name == "deleted" and delta.new is True for delta in deltas):
        return EventType.SOFT_DELETED
    if change.op is Op.CREATED:
        return EventType.CREATED
    if change.op is Op.DELETED:
        return EventType.DELETED
    inner = change.entity_type == "tenant"  # the steps of its end
    return None if inner or not deltas else EventType.UPDATED


def _description(change: Change, event_type: EventType, deltas: Sequence[Delta]) -> Description:
    """Return what changed; of a new or gone entity nothing, as OpenMetadata does: `entity` tells it all."""
    if event_type in {EventType.CREATED, EventType.DELETED}:
        return Description()
    counted = change.entity_type not in {"webhook", "alert"} and change.version > 1
    return Description(
        added=tuple(delta for delta in deltas if delta.old is None),
        updated=tuple(delta for delta in deltas if delta.old is not None and delta.new is not None),
        deleted=tuple(delta for delta in deltas if delta.old is not None and delta.new is None),
        previous_version=float(change.version - 1) if counted else None,
    )


def _deltas(change: Change) -> Iterable[Delta]:
    """Return the changed fields of a row by their told names, each once."""
    found: dict[str, Delta] = {}
    inner = _INNER.get(change.entity_type, frozenset())
    for each in change.fields:
        parts = _parts(each.pointer)
        if not parts or parts[0] in inner:
            continue
        delta = _delta(change.entity_type, parts, each)
        found.setdefault(delta.name, delta)
    return found.values()


def _delta(kind: str, parts: Sequence[str], change: FieldChange) -> Delta:
    if kind == "stream" and parts == ["desired"]:
        return Delta("state", change.old, change.new)
    name = parts[0] if parts[0] in _LISTED else ".".join(parts)
    if name in _ADDRESSES:
        return Delta(name, address(change.old), address(change.new))
    if not _SECRET.isdisjoint(parts) or name == _HEADERS or name.startswith(f"{_HEADERS}."):
        return Delta(name, _hidden(change.old), _hidden(change.new))
    return Delta(name, change.old, change.new)


def _entity(change: Change, entity: Entity | None, *, gone: bool) -> dict[str, Any]:
    """Return the reference members and the definition: as it is now, or, of one that is gone, as the row had it."""
    kind, tenant = change.entity_type, change.tenant_id or ""
    name = entity.name if entity is not None else change.entity_name
    definition = entity.definition if entity is not None else _told(change)
    told = {member: value for member, value in _shown(kind, definition).items() if member not in _RESERVED}
    told |= {
        "id": change.entity_id,
        "type": TYPES[kind],
        "name": name or change.entity_id,
        "fullyQualifiedName": tenant if kind == "tenant" else f"{tenant}.{name or change.entity_id}",
        "href": _href(kind, change.entity_id, name),
        "version": change.version if entity is None else entity.version,
        "updatedAt": change.at_ms if entity is None else entity.updated_at_ms,
        "updatedBy": change.actor if entity is None or entity.updated_by is None else entity.updated_by,
        "deleted": gone or (entity is not None and entity.deleted),
    }
    return told


_RESERVED = frozenset({
    "id", "type", "name", "fullyQualifiedName", "href", "version", "updatedAt", "updatedBy", "deleted"
})  # fmt: skip


def _shown(kind: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a definition as it is told: in the words of events, without what only its owner may see."""
    told = dict(definition)
    if kind == "stream" and "desired" in told:
        told["state"] = told.pop("desired")
    elif kind == "contact":
        told |= {"contactType": told.pop("type", "user"), "endpoint": address(told.get("endpoint"))}
    elif kind == "webhook" and isinstance(config := told.get("webhookConfig"), Mapping):
        headers = config.get("headers")
        shown = {name: value for name, value in config.items() if name != "secretKey"}
        shown["endpoint"] = address(config.get("endpoint"))
        shown["headers"] = dict.fromkeys(headers, HIDDEN) if isinstance(headers, Mapping) else {}
        told["webhookConfig"] = shown
    return told


def _told(change: Change) -> dict[str, Any]:
    """Return the definition that a row tells of an object that is gone by now, out of its leaves."""
    whole: dict[str, Any] = {}
    if change.op is Op.UPDATED:
        return whole
    for each in change.fields:
        *path, last = _parts(each.pointer) or [""]
        value = each.new if change.op is Op.CREATED else each.old
        if value is None or not last or not _SECRET.isdisjoint((*path, last)):
            continue
        at: Any = whole
        for part in path:
            at = at.setdefault(part, {}) if isinstance(at, dict) else None
        if isinstance(at, dict):
            at[last] = value
    return whole


def _href(kind: str, entity_id: str, name: str) -> str:
    return f"/api/v1/{_PATHS.get(kind, f'{kind}s')}/{name if kind == 'subject' else entity_id}"


def _hidden(value: Any) -> str | None:  # noqa: ANN401 JSON
    return None if value is None else HIDDEN


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
