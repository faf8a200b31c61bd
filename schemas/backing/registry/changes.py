"""The log of changes: audit trail, outbox and revision in one table (rule 23).

Lives here: appending inside the caller's transaction, reading by revision. The row's shape: wire/change.py.
Revisions are counted under the lock of `Database.change`, so they commit in order and have no gaps.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, Row, func, insert, select

from schemas.backing.registry.database import Database
from schemas.backing.registry.record import Actor, Page, PageRequest, cursor_read, cursor_text
from schemas.backing.registry.tables import CHANGES
from schemas.ports import Clock
from schemas.wire.change import Change, FieldChange, Op

MAX_FIELDS = 200
MAX_PAGE = 1000
HIDDEN = "***"


class Changes:
    """Appends to and reads from the log."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def append(
        self,
        connection: Connection,
        actor: Actor,
        entity: tuple[str, str, str],
        op: Op,
        *,
        tenant: str | None,
        version: int = 1,
        fields: Iterable[FieldChange] = (),
    ) -> int:
        """Write the row of a change of `entity` (type, id, name) into the transaction of `change()`; its revision."""
        kept = [{"pointer": f.pointer, "old": f.old, "new": f.new} for f in fields][:MAX_FIELDS]
        number = revision(connection) + 1
        connection.execute(
            insert(CHANGES).values(
                revision=number,
                tenant_id=tenant,
                entity_type=entity[0],
                entity_id=entity[1],
                entity_name=entity[2],
                op=op.value,
                version=version,
                at_ms=self._clock.time_ns() // 1_000_000,
                actor=actor.id,
                request_id=actor.request_id,
                fields=orjson.dumps(kept).decode(),
            )
        )
        return number

    def page(self, after_revision: int, limit: int, tenant: str | None = None) -> list[Change]:
        """Return up to `limit` (1..1000) changes after a revision, oldest first; of one tenant, or of all."""
        query = select(CHANGES).where(CHANGES.c.revision > after_revision).order_by(CHANGES.c.revision)
        if tenant is not None:
            query = query.where(CHANGES.c.tenant_id == tenant)
        with self._database.read() as connection:
            return [_change(row) for row in connection.execute(query.limit(max(1, min(limit, MAX_PAGE))))]

    def before(self, at_ms: int) -> int:
        """Return the newest revision that was written before a time; 0 when there is none."""
        with self._database.read() as connection:
            found = connection.execute(select(func.max(CHANGES.c.revision)).where(CHANGES.c.at_ms < at_ms)).scalar()
        return int(found or 0)

    def audit(self, page: PageRequest, tenant: str | None = None) -> Page[Change]:
        """Return changes newest first; of one tenant, or of all."""
        query = select(CHANGES).order_by(CHANGES.c.revision.desc()).limit(page.limit + 1)
        if tenant is not None:
            query = query.where(CHANGES.c.tenant_id == tenant)
        if page.cursor is not None:
            query = query.where(CHANGES.c.revision < cursor_read(page.cursor, int)[0])
        with self._database.read() as connection:
            found = [_change(row) for row in connection.execute(query)]
        more = cursor_text(found[page.limit - 1].revision, "") if len(found) > page.limit else None
        return Page(tuple(found[: page.limit]), more)


def revision(connection: Connection) -> int:
    """Return the newest revision that this transaction sees; 0 before the first."""
    return int(connection.execute(select(func.max(CHANGES.c.revision))).scalar() or 0)


def diff(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> tuple[FieldChange, ...]:
    """Return what differs between two JSON objects, one entry a leaf, by JSON pointer; lists count as leaves."""
    before, after = dict(_leaves(old or {}, "")), dict(_leaves(new or {}, ""))
    pointers = sorted(before.keys() | after.keys())
    return tuple(
        FieldChange(p, before.get(p), after.get(p)) for p in pointers if before.get(p) != after.get(p)
    )  # absent and null are the same here


def _leaves(value: Mapping[str, Any], at: str) -> Iterable[tuple[str, Any]]:
    for name, item in value.items():
        pointer = f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}"
        if isinstance(item, Mapping):
            yield from _leaves(item, pointer)
        else:
            yield pointer, item


def _change(row: Row[Any]) -> Change:
    return Change(
        revision=row.revision,
        tenant_id=row.tenant_id,
        entity_type=row.entity_type,
        entity_id=row.entity_id,
        entity_name=row.entity_name,
        op=Op(row.op),
        version=row.version,
        at_ms=row.at_ms,
        actor=row.actor,
        request_id=row.request_id,
        fields=tuple(FieldChange(f["pointer"], f["old"], f["new"]) for f in orjson.loads(row.fields)),
    )
