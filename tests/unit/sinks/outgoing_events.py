"""Webhooks and events as messages are made of, for the tests of formats and signatures."""

from collections.abc import Sequence
from typing import Any

from schemas.definitions.notification import WebhookView
from schemas.definitions.view import SecretView
from schemas.definitions.webhook import WebhookDefinition, WebhookStatus
from schemas.wire.entity_event import Delta, Description, EntityEvent, EventType

AT_MS = 1_763_810_000_123
SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLRSw"
OLDER = b"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def webhook(kind: str = "Generic", batch: int = 1, secrets: Sequence[bytes] = (SECRET,), **config: Any) -> WebhookView:
    """Make a webhook of a type."""
    definition = WebhookDefinition.model_validate(
        {
            "name": "ops",
            "webhookType": kind,
            "batchSize": batch,
            "eventFilters": [{"eventType": "entityUpdated"}],
            "webhookConfig": {"endpoint": "https://hooks.example.com/in", **config},
        }
    )
    kept = tuple(SecretView(f"sec-{index}", value) for index, value in enumerate(secrets))
    return WebhookView("wh-1", "acme", "ops", definition, WebhookStatus.ACTIVE, 0, 1, 1, kept)


def event(
    entity_type: str = "stream",
    name: str = "acme.orders",
    kind: EventType = EventType.UPDATED,
    *,
    entity: dict[str, Any] | None = None,
    change: Description | None = None,
    user: str | None = "key-ops",
    at_ms: int = AT_MS,
) -> EntityEvent:
    """Make an event: a stream that was stopped, unless told otherwise."""
    changed = Description(updated=(Delta("state", "running", "stopped"),)) if change is None else change
    href = "https://hookberg.example.com/api/v1/streams/s1?a=1&b=2"
    return EntityEvent(
        "ev-1", "acme", kind, entity_type, "id-1", name, at_ms, entity or {"id": "id-1", "href": href}, changed, user
    )


ALERT = event(
    "alert",
    "acme.quarantine",
    EventType.CREATED,
    entity={
        "id": "al-1",
        "kind": "quarantine",
        "status": "open",
        "message": "source stripe-main: 40% of its events go to quarantine, 120 in a row. Look why (GET "
        "/quarantine?source=stripe-main), mend the pin or the sender, then redrive",
        "entity": {"type": "source", "id": "src-1"},
        "href": "/api/v1/alerts/al-1",
    },
    change=Description(),
    user="system",
)
TABLE = event(
    "table",
    "acme.orders",
    entity={"id": "t1"},
    change=Description(
        updated=(
            Delta(
                "snapshot",
                {"snapshotId": "1", "rows": 12_000, "newestEventTime": AT_MS - 60_000},
                {"snapshotId": "2", "rows": 12_400, "newestEventTime": AT_MS},
            ),
        )
    ),
    user=None,
)
