"""Alerts: what is wrong with an object now, or was: one open alert a kind and object (spec sections 5 and 10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class AlertKind(StrEnum):
    """What an alert tells; the closed list."""

    DEPTH = "depth"
    AGE = "age"
    FRESHNESS = "freshness"
    QUARANTINE = "quarantine"
    SILENCE = "silence"
    RETENTION = "retention"
    LOSS_BUDGET = "lossBudget"
    RESTARTS = "restarts"
    LOSS = "loss"


class AlertStatus(StrEnum):
    """Whether it still is so."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert about an entity (`source`, `stream`, `group`); times in ms, `details` the figures of the moment.

    A group's id stands for a tenant and a worker group, which `details` names. An open one is kept up to date; what is
    wrong again after it was closed is another alert.
    """

    id: str
    tenant_id: str
    kind: AlertKind
    status: AlertStatus
    entity_type: str
    entity_id: str
    message: str
    details: Mapping[str, Any]
    opened_at_ms: int
    updated_at_ms: int
    closed_at_ms: int | None
