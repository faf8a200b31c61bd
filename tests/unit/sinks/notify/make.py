"""Webhooks, contacts and events for the tests of feeds and filters."""

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.definitions.contact import ContactDefinition
from schemas.definitions.notification import ContactView, WebhookView
from schemas.definitions.webhook import WebhookDefinition, WebhookStatus
from schemas.wire.entity_event import Delta, Description, EntityEvent, EventType

CREATED_MS = 1_000


def webhook(
    name: str = "w",
    filters: Iterable[Mapping[str, Any]] = ({"eventType": "entityUpdated"},),
    config: Mapping[str, Any] | None = None,
    **more: Any,
) -> WebhookView:
    definition = WebhookDefinition.model_validate(
        {
            "name": name,
            "eventFilters": list(filters),
            "webhookConfig": config or {"endpoint": f"https://{name}.example/hook"},
            **more,
        }
    )
    return WebhookView(name, "acme", name, definition, WebhookStatus.ACTIVE, CREATED_MS, 1, 1)


def contact(name: str, **more: Any) -> ContactView:
    return ContactView(f"id-{name}", "acme", ContactDefinition.model_validate({"name": name, **more}))


def event(
    changed: Iterable[str] = (),
    entity: Mapping[str, Any] | None = None,
    *,
    kind: EventType = EventType.UPDATED,
    of: str = "table",
    name: str = "acme.orders",
    entity_id: str = "e1",
) -> EntityEvent:
    change = Description(updated=tuple(Delta(each, 1, 2) for each in changed))
    return EntityEvent("x", "acme", kind, of, entity_id, name, CREATED_MS, entity or {}, change)
