"""What every repository stands on: database, change log, clock, ids, and the three look-ups they share.

Lives here: finding by id or name, paging, comparing versions. Not here: anything of one object.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, literal, select, tuple_

from schemas import ids, names
from schemas.backing.registry.changes import Changes
from schemas.backing.registry.database import Database
from schemas.backing.registry.record import Page, PageRequest, RandomBytes, cursor_read, cursor_text
from schemas.backing.registry.tables import TENANTS
from schemas.errors import Refused
from schemas.ports import Clock
from schemas.reasons import Reason

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Rim:
    """The world of a repository."""

    database: Database
    changes: Changes
    clock: Clock
    random_bytes: RandomBytes

    def now_ms(self) -> int:
        """Return the wall clock in ms since the epoch."""
        return self.clock.time_ns() // 1_000_000

    def new_id(self) -> str:
        """Make a UUIDv7."""
        return str(ids.uuid7(self.now_ms(), self.random_bytes(10)))


def find(connection: Connection, table: Table, tenant: str | None, id_or_name: str) -> Row[Any]:
    """Return the row with this id, else this name; raise `Refused(not_found)`. `tenant` None = of any."""
    column = table.c.id if names.is_uuid(id_or_name) else table.c.name
    query = select(table).where(column == id_or_name)
    if tenant is not None:
        query = query.where(table.c.tenant_id == tenant)
    row = connection.execute(query.limit(1)).first()
    if row is None:
        kind = table.name.removesuffix("s")
        raise Refused(Reason.NOT_FOUND, f"no {kind} {id_or_name[:80]!r} here")
    return row


def taken(connection: Connection, table: Table, tenant: str, name: str, *, but: str = "") -> None:
    """Raise `Refused(name_taken)` if another row of the tenant has this name."""
    query = select(table.c.id).where(table.c.tenant_id == tenant, table.c.name == name, table.c.id != but)
    if connection.execute(query).first() is not None:
        raise Refused(Reason.NAME_TAKEN, f"a {table.name.removesuffix('s')} named {name!r} exists")


def alive(connection: Connection, tenant: str) -> None:
    """Raise `Refused(not_found)` unless the tenant exists and is not disabled."""
    row = connection.execute(select(TENANTS.c.disabled).where(TENANTS.c.id == tenant)).first()
    if row is None or row.disabled:
        raise Refused(Reason.NOT_FOUND, f"no tenant {tenant[:80]!r}: make it with POST /api/v1/tenants")


def expect(row: Row[Any], if_match: int | None) -> None:
    """Raise `Refused(precondition_failed)` unless the row has the version that the caller read."""
    if if_match is not None and row.version != if_match:
        raise Refused(Reason.PRECONDITION_FAILED, f"the object is at version {row.version}: read it again")


def begins(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Return the condition that a text begins so; case counts on both databases (LIKE is not alike)."""
    return func.substr(column, 1, len(prefix)) == prefix


def page_of(
    connection: Connection,
    query: Select[Any],
    sort: Any,  # noqa: ANN401 a column of the query
    row_id: Any,  # noqa: ANN401 a column of the query
    page: PageRequest,
    convert: Callable[[Row[Any]], R],
    *,
    newest_first: bool = False,
) -> Page[R]:
    """Return one page ordered by (sort, id); the cursor is the last row's pair, so inserts move nothing."""
    here = tuple_(sort, row_id)
    if page.cursor is not None:
        key, last = cursor_read(page.cursor, sort.type.python_type)
        after = tuple_(literal(key, sort.type), literal(last, row_id.type))
        query = query.where(here < after if newest_first else here > after)
    order = (sort.desc(), row_id.desc()) if newest_first else (sort, row_id)
    rows = connection.execute(query.order_by(*order).limit(page.limit + 1)).all()
    kept = rows[: page.limit]
    more = None
    if len(rows) > page.limit:
        more = cursor_text(getattr(kept[-1], sort.name), getattr(kept[-1], row_id.name))
    return Page(tuple(convert(row) for row in kept), more)
