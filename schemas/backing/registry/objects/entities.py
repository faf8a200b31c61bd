"""Objects of any kind by type and id, as they are now: what entity events tell of them.

Lives here: rows -> Entity, one query a kind. Not here: which of it is told (sinks/notify/feeds/changed.py).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Row, Table, select

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound_tables import CONTACTS, WEBHOOKS
from schemas.backing.registry.tables import ALERTS, KEYS, ROLES, SOURCES, STREAMS, SUBJECTS, TENANTS
from schemas.definitions.entity import Entity

_IDS = 500
"""Ids in one query: SQLite bounds its parameters."""
Reference = tuple[str, str]
"""Type, in the words of the log of changes, and id."""


@dataclass(frozen=True, slots=True)
class Entities:
    """Reads objects, whosever they are."""

    rim: Rim

    def many(self, references: Iterable[Reference]) -> Mapping[Reference, Entity]:
        """Return those of these objects that there are; other kinds than those of `KINDS` are not looked for."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for kind, row_id in references:
            if kind in KINDS:
                wanted[kind].add(row_id)
        found: dict[Reference, Entity] = {}
        if not wanted:
            return found
        with self.rim.database.read() as connection:
            for kind, named in sorted(wanted.items()):
                table, read = KINDS[kind]
                ids = sorted(named)
                for at in range(0, len(ids), _IDS):
                    query = select(table).where(table.c.id.in_(ids[at : at + _IDS]))
                    found |= {(kind, row.id): read(kind, row) for row in connection.execute(query)}
        return found


def _defined(kind: str, row: Row[Any]) -> Entity:
    return _entity(kind, row, orjson.loads(row.definition))


def _stream(kind: str, row: Row[Any]) -> Entity:
    return _entity(kind, row, {**orjson.loads(row.definition), "desired": row.desired})


def _tenant(kind: str, row: Row[Any]) -> Entity:
    return Entity(kind, row.id, row.id, row.id, row.version, row.updated_at_ms, deleted=bool(row.disabled))


def _webhook(kind: str, row: Row[Any]) -> Entity:
    failure = orjson.loads(row.failure) if row.failure else None
    return Entity(
        kind,
        row.id,
        row.tenant_id,
        row.name,
        row.entity_version / 10,
        row.updated_at_ms,
        {**orjson.loads(row.definition), "status": row.status, "failureDetails": failure},
        row.updated_by,
        bool(row.deleted),
    )


def _alert(kind: str, row: Row[Any]) -> Entity:
    told = {
        "kind": row.kind,
        "status": row.status,
        "message": row.message,
        "details": orjson.loads(row.details),
        "entity": {"type": row.entity_type, "id": row.entity_id},
        "openedAt": row.opened_at_ms,
        "closedAt": row.closed_at_ms,
    }
    return Entity(kind, row.id, row.tenant_id, row.kind, row.version, row.updated_at_ms, told)


def _entity(kind: str, row: Row[Any], definition: Mapping[str, Any]) -> Entity:
    return Entity(kind, row.id, row.tenant_id, row.name, row.version, row.updated_at_ms, definition)


KINDS: Mapping[str, tuple[Table, Callable[[str, Row[Any]], Entity]]] = {
    "source": (SOURCES, _defined),
    "stream": (STREAMS, _stream),
    "subject": (SUBJECTS, _defined),
    "key": (KEYS, _defined),
    "role": (ROLES, _defined),
    "contact": (CONTACTS, _defined),
    "webhook": (WEBHOOKS, _webhook),
    "tenant": (TENANTS, _tenant),
    "alert": (ALERTS, _alert),
}
"""The kinds of objects that entity events tell of."""
