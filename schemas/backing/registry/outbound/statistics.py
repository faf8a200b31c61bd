"""Figures of the log of outbound deliveries: of one webhook over the last hour, day and the whole log, and of a tenant.

Lives here: reads alone. Counts are read from indexes (`outbound_attempts_counted`, `outbound_deliveries_counted`),
never from rows, which hold bodies; quantiles are those of the newest `MEASURED` attempts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, case, func, select

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound.log import webhook_of
from schemas.backing.registry.outbound_tables import OUTBOUND_ATTEMPTS, OUTBOUND_DELIVERIES, WEBHOOKS
from schemas.definitions.notification import DeliveryState
from schemas.definitions.webhook import WebhookStatus

MEASURED = 10_000
MOST = 1_000
"""Webhooks in the figures of a tenant; it can have no more (MAX_WEBHOOKS)."""
WINDOWS: Mapping[str, int | None] = {"hour": 3_600_000, "day": 86_400_000, "log": None}
"""Lengths in ms; None = all that the log holds."""
_A, _D = OUTBOUND_ATTEMPTS.c, OUTBOUND_DELIVERIES.c
_ACCEPTED = and_(_A.status >= 200, _A.status < 300)  # noqa: PLR2004 the class of success (RFC 9110 section 15.3)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the log up to now: attempts by answer (2xx … 5xx, none), deliveries made in it by their state now.

    `p50_ms`, `p95_ms`: durations of the newest `measured` attempts, None without any.
    """

    attempts: Mapping[str, int]
    deliveries: Mapping[str, int]
    p50_ms: int | None
    p95_ms: int | None
    measured: int

    @property
    def success_rate(self) -> float | None:
        """Return the share of attempts that were accepted; None without attempts."""
        made = sum(self.attempts.values())
        return self.attempts.get("2xx", 0) / made if made else None


@dataclass(frozen=True, slots=True)
class Statistics:
    """How a webhook's deliveries go; times in ms since the epoch, None = never, or not within the log."""

    at_ms: int
    windows: Mapping[str, Window]
    pending: int
    oldest_pending_at_ms: int | None
    last_success_at_ms: int | None
    last_failure_at_ms: int | None


@dataclass(frozen=True, slots=True)
class WebhookStanding:
    """A webhook in one line, for lists of what goes wrong."""

    id: str
    name: str
    status: WebhookStatus
    pending: int
    oldest_pending_at_ms: int | None


def of_webhook(rim: Rim, tenant: str, webhook_id: str) -> Statistics:
    """Return a webhook's figures; raises `Refused(not_found)`."""
    now = rim.now_ms()
    with rim.database.read(snapshot=True) as connection:
        webhook_of(connection, tenant, webhook_id)
        newest = select(_A.at_ms, _A.duration_ms).where(_A.webhook_id == webhook_id)
        durations = [(row.at_ms, row.duration_ms) for row in
                     connection.execute(newest.order_by(_A.at_ms.desc()).limit(MEASURED))]  # fmt: skip
        windows = {
            name: _window(connection, webhook_id, durations, 0 if length is None else now - length)
            for name, length in WINDOWS.items()
        }
        waits = select(func.count(), func.min(_D.created_at_ms)).where(
            _D.webhook_id == webhook_id, _D.state == DeliveryState.PENDING.value
        )
        pending, oldest = connection.execute(waits).one()
        ends = select(
            func.max(case((_ACCEPTED, _A.at_ms))),
            func.max(case((func.coalesce(_ACCEPTED, False), None), else_=_A.at_ms)),
        )
        success, failure = connection.execute(ends.where(_A.webhook_id == webhook_id)).one()
    return Statistics(now, windows, pending, oldest, success, failure)


def of_tenant(rim: Rim, tenant: str) -> tuple[WebhookStanding, ...]:
    """Return every webhook of a tenant that is not deleted, by name."""
    waits = and_(_D.webhook_id == WEBHOOKS.c.id, _D.state == DeliveryState.PENDING.value)
    query = (
        select(
            WEBHOOKS.c.id,
            WEBHOOKS.c.name,
            WEBHOOKS.c.status,
            select(func.count()).where(waits).scalar_subquery(),
            select(func.min(_D.created_at_ms)).where(waits).scalar_subquery(),
        )
        .where(WEBHOOKS.c.tenant_id == tenant, WEBHOOKS.c.deleted.is_(False))
        .order_by(WEBHOOKS.c.name)
        .limit(MOST)
    )
    with rim.database.read() as connection:
        return tuple(
            WebhookStanding(row_id, name, WebhookStatus(status), pending, oldest)
            for row_id, name, status, pending, oldest in connection.execute(query)
        )


def _window(connection: Connection, webhook_id: str, durations: Sequence[tuple[int, int]], since_ms: int) -> Window:
    answers = select(_A.status, func.count()).where(_A.webhook_id == webhook_id, _A.at_ms >= since_ms)
    states = select(_D.state, func.count()).where(
        _D.webhook_id == webhook_id,
        _D.state.in_([state.value for state in DeliveryState]),
        _D.created_at_ms >= since_ms,
    )
    attempts: dict[str, int] = {}
    for status, count in connection.execute(answers.group_by(_A.status)):
        name = "none" if status is None else f"{status // 100}xx"
        attempts[name] = attempts.get(name, 0) + count
    deliveries = {row[0]: int(row[1]) for row in connection.execute(states.group_by(_D.state))}
    measured = sorted(took for at, took in durations if at >= since_ms)
    return Window(attempts, deliveries, _quantile(measured, 0.5), _quantile(measured, 0.95), len(measured))


def _quantile(values: Sequence[Any], share: float) -> int | None:
    """Return the nearest-rank quantile of sorted values."""
    return int(values[max(0, math.ceil(len(values) * share) - 1)]) if values else None
