"""What becomes of an outbound webhook's events: lanes, deliveries, attempts (spec section 10).

Lives here: values that the registry keeps, the notify process works on and the API shows. Not here: the entity
(webhook.py), the event (wire/entity_event.py), how it is done (sinks/notify/README.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from schemas.definitions.contact import ContactDefinition
from schemas.definitions.view import SecretView
from schemas.definitions.webhook import WebhookDefinition, WebhookStatus
from schemas.wire.entity_event import EntityEvent

OWN_ENDPOINT = ""
"""The receiver of a lane that leads to the webhook's own endpoint."""


class DeliveryState(StrEnum):
    """Where a delivery is; the closed list. `pending` until it is delivered or given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    RETRY_LIMIT_REACHED = "retryLimitReached"
    CANCELED = "canceled"


class DeliveryKind(StrEnum):
    """Why there is a delivery."""

    EVENT = "event"
    TEST = "test"
    FALLBACK = "fallback"


class RequestKind(StrEnum):
    """What the API asks of the notify process."""

    TEST = "test"
    RESEND = "resend"
    RESEND_FAILED = "resendFailed"


@dataclass(frozen=True, slots=True, order=True)
class Lane:
    """One way out: a webhook and its receiver (`OWN_ENDPOINT`, or a contact's id); one request at a time goes by it."""

    webhook_id: str
    receiver: str = OWN_ENDPOINT


@dataclass(frozen=True, slots=True)
class Matched:
    """An event and the lanes that it goes down."""

    event: EntityEvent
    lanes: tuple[Lane, ...]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a feed was taken in: the last revision or sequence, or the next offset; tenant None = of all."""

    feed: str
    position: int
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to take events in and send them; a later holder's `epoch` is greater and ends the earlier's writes."""

    name: str
    owner: str
    epoch: int


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook as the notify process sees it; `secrets` newest first: the one in use, then one that still counts."""

    id: str
    tenant: str
    name: str
    definition: WebhookDefinition
    status: WebhookStatus
    created_at_ms: int
    version: int
    entity_version: int
    """In tenths: 12 is 1.2."""
    secrets: tuple[SecretView, ...] = field(default=(), repr=False)

    @property
    def full_name(self) -> str:
        """Return the fullyQualifiedName."""
        return f"{self.tenant}.{self.name}"


@dataclass(frozen=True, slots=True)
class ContactView:
    """A contact as the notify process sees it."""

    id: str
    tenant: str
    definition: ContactDefinition


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one lane, of one to `batchSize` events; its id is the header `webhook-id` of every attempt.

    `attempts` made so far, `tries` of them since it was made or last asked to be resent; times in ms since the epoch.
    """

    id: str
    tenant_id: str
    lane: Lane
    kind: DeliveryKind
    state: DeliveryState
    events: tuple[int, ...]
    attempts: int
    tries: int
    next_attempt_at_ms: int | None
    created_at_ms: int
    updated_at_ms: int
    last_attempt_at_ms: int | None = None
    last_status: int | None = None
    last_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of a delivery and its answer; bodies and headers are cut to bounds, secrets and signatures left out.

    `url` as it may be shown: `https://hooks.slack.com/services/…`, for the rest may be the credential.
    `status` None: no answer; then `reason` says why, else it says what was wrong with the status, None = accepted.
    """

    delivery_id: str
    number: int
    at_ms: int
    duration_ms: int
    url: str
    status: int | None
    reason: str | None
    request: Mapping[str, Any]
    response: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FailureDetails:
    """OpenMetadata's failureDetails; times in ms since the epoch."""

    last_failed_at_ms: int
    last_failed_status_code: int | None
    last_failed_reason: str
    next_attempt_at_ms: int | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "lastFailedAt": self.last_failed_at_ms,
            "lastFailedStatusCode": self.last_failed_status_code,
            "lastFailedReason": self.last_failed_reason,
            "nextAttempt": self.next_attempt_at_ms,
        }
