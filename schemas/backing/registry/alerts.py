"""Alerts: opened and closed by the processes that see what is wrong, read by the API.

Lives here: at most one open alert a kind and entity, and its entries in the log of changes (spec section 10). Not here:
when something is wrong (streams/floods.py). Implements ports.AlertBook.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Row, func, insert, select, update

from schemas.backing.registry.objects.repository import Rim, page_of
from schemas.backing.registry.record import SYSTEM, Page, PageRequest
from schemas.backing.registry.tables import ALERTS
from schemas.definitions.alert import Alert, AlertKind, AlertStatus
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import FieldChange, Op

MAX_MESSAGE = 500
LEVEL = "level"
"""The member of `details` whose change is told: `warn` or `alarm`, of kinds that have two thresholds."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """The repository of alerts."""

    rim: Rim

    def open(
        self, tenant: str, kind: AlertKind, entity: tuple[str, str], message: str, details: Mapping[str, Any]
    ) -> Alert:
        """Open an alert about `entity` (type, id), or bring the open one up to date; twice is once.

        Another `details.level` than the open one's is told in the log of changes.
        """
        now = self.rim.now_ms()
        values = {"message": message[:MAX_MESSAGE], "details": orjson.dumps(dict(details)).decode()}
        with self.rim.database.change() as connection:
            row = _open(connection, kind, entity)
            if row is not None:
                before, after = orjson.loads(row.details).get(LEVEL), details.get(LEVEL)
                version = row.version + (before != after)
                changed = update(ALERTS).where(ALERTS.c.id == row.id)
                changed = changed.values(**values, updated_at_ms=now, version=version)
                if before != after:
                    self._told(connection, row, version, FieldChange(f"/details/{LEVEL}", before, after))
                return _alert(connection.execute(changed.returning(*ALERTS.c)).one())
            made = insert(ALERTS).values(
                id=self.rim.new_id(),
                tenant_id=tenant,
                kind=kind.value,
                status=AlertStatus.OPEN.value,
                entity_type=entity[0],
                entity_id=entity[1],
                opened_at_ms=now,
                updated_at_ms=now,
                **values,
            )
            row = connection.execute(made.returning(*ALERTS.c)).one()
            self.rim.changes.append(connection, SYSTEM, ("alert", row.id, kind.value), Op.CREATED, tenant=tenant)
        return _alert(row)

    def close(self, kind: AlertKind, entity: tuple[str, str]) -> bool:
        """Close the open alert about `entity`; False when there is none."""
        now = self.rim.now_ms()
        with self.rim.database.change() as connection:
            row = _open(connection, kind, entity)
            if row is None:
                return False
            version = row.version + 1
            values = {"status": AlertStatus.CLOSED.value, "updated_at_ms": now, "closed_at_ms": now, "version": version}
            connection.execute(update(ALERTS).where(ALERTS.c.id == row.id).values(**values))
            self._told(
                connection, row, version, FieldChange("/status", AlertStatus.OPEN.value, AlertStatus.CLOSED.value)
            )
        return True

    def _told(self, connection: Connection, row: Row[Any], version: int, field: FieldChange) -> None:
        named = ("alert", row.id, row.kind)
        self.rim.changes.append(
            connection, SYSTEM, named, Op.UPDATED, tenant=row.tenant_id, version=version, fields=(field,)
        )

    def get(self, tenant: str, alert_id: str) -> Alert:
        """Return an alert; raises `Refused(not_found)`."""
        query = select(ALERTS).where(ALERTS.c.id == alert_id, ALERTS.c.tenant_id == tenant)
        with self.rim.database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise Refused(Reason.NOT_FOUND, f"no alert {alert_id[:80]!r}")
        return _alert(row)

    def list(
        self,
        tenant: str,
        page: PageRequest,
        *,
        status: str | None = None,
        kind: str | None = None,
        entity_id: str | None = None,
        since_ms: int | None = None,
    ) -> Page[Alert]:
        """Return the alerts of a tenant, newest first; `since_ms`: opened then or later, or open still."""
        query = select(ALERTS).where(ALERTS.c.tenant_id == tenant)
        for column, wanted in ((ALERTS.c.status, status), (ALERTS.c.kind, kind), (ALERTS.c.entity_id, entity_id)):
            if wanted is not None:
                query = query.where(column == wanted)
        if since_ms is not None:
            query = query.where((ALERTS.c.opened_at_ms >= since_ms) | (ALERTS.c.status == AlertStatus.OPEN.value))
        with self.rim.database.read() as connection:
            return page_of(connection, query, ALERTS.c.opened_at_ms, ALERTS.c.id, page, _alert, newest_first=True)

    def open_by_kind(self) -> dict[str, int]:
        """Return how many alerts of all tenants are open, by kind."""
        query = select(ALERTS.c.kind, func.count().label("n")).where(ALERTS.c.status == AlertStatus.OPEN.value)
        with self.rim.database.read() as connection:
            return {str(row.kind): row.n for row in connection.execute(query.group_by(ALERTS.c.kind))}

    def opened(self, kind: AlertKind, entity_ids: Iterable[str] | None = None) -> tuple[Alert, ...]:
        """Return the open alerts of a kind: all, or those about some entities."""
        query = select(ALERTS).where(ALERTS.c.kind == kind.value, ALERTS.c.status == AlertStatus.OPEN.value)
        if entity_ids is not None:
            query = query.where(ALERTS.c.entity_id.in_(list(entity_ids)))
        with self.rim.database.read() as connection:
            return tuple(_alert(row) for row in connection.execute(query))


def _open(connection: Connection, kind: AlertKind, entity: tuple[str, str]) -> Row[Any] | None:
    found = select(ALERTS).where(
        ALERTS.c.entity_id == entity[1],
        ALERTS.c.entity_type == entity[0],
        ALERTS.c.kind == kind.value,
        ALERTS.c.status == AlertStatus.OPEN.value,
    )
    return connection.execute(found).first()


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=AlertKind(row.kind),
        status=AlertStatus(row.status),
        entity_type=row.entity_type,
        entity_id=row.entity_id,
        message=row.message,
        details=orjson.loads(row.details),
        opened_at_ms=row.opened_at_ms,
        updated_at_ms=row.updated_at_ms,
        closed_at_ms=row.closed_at_ms,
    )
