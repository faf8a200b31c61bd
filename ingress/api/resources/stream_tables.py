"""A stream's table: where it is, its newest rows, its columns. Read through ports.TableReader."""

from datetime import datetime
from typing import Any

from pydantic import Field

from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.resources.streams import find
from ingress.api.routes import Query, Route
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.view import StreamView

_READ = Permission.TABLES_READ
_TYPE = Query("eventType", "string", "of a stream with splitBy: the table of this type; else the stream's own")
_LIMIT = Query("limit", "integer", "how many rows", minimum=1, maximum=200)


class Items(Definition):
    """A list that has one page."""

    items: list[dict[str, Any]]


class Column(Definition):
    """One column. `pointer` and `schema` (`subject@version#pointer`) of what the payload fills.

    `fillRate`, `distinct`, `firstSeen` and `lastSeen` are of the newest `rows` rows.
    """

    name: str
    type: str
    doc: str
    field_id: int
    pointer: str | None
    json_schema: str | None = Field(alias="schema")
    rows: int
    fill_rate: float | None
    distinct: int | None
    first_seen: datetime | None
    last_seen: datetime | None


class Columns(Definition):
    """The data dictionary, structs before their members."""

    items: list[Column]


async def get_stream_table(call: Call) -> Answer:
    """Show catalog, metadata location and snippets to query the table with; 404 before its first commit.

    `tables`: of a stream with `splitBy` the tables of its types, each with its `eventType`.
    """
    return Answer(await call.env.tables.table(await _view(call), _event_type(call)))


async def list_stream_rows(call: Call) -> Answer:
    """Show the newest rows."""
    return Answer({"items": await call.env.tables.rows(await _view(call), call.limit, _event_type(call))})


async def list_stream_columns(call: Call) -> Answer:
    """Show each column's name, type, doc, place in payload and schema; of the newest rows fill rate, distinct, seen."""
    return Answer({"items": await call.env.tables.columns(await _view(call), _event_type(call))})


def _event_type(call: Call) -> str | None:
    given = call.query.get("eventType")
    return None if given is None else str(given)


async def _view(call: Call) -> StreamView:
    record = await find(call)
    return StreamView(
        id=record.id,
        tenant=record.tenant,
        name=record.name,
        version=record.version,
        definition=record.definition,
        desired=record.desired,
        generation=record.generation,
        accept_loss=record.accept_loss,
        frozen=False,
    )


ROUTES = (
    Route("GET", "/streams/{id}/table", get_stream_table, "Show a stream's table", _READ, shapes.AnyObject,
          query=(_TYPE,)),
    Route("GET", "/streams/{id}/rows", list_stream_rows, "Show the newest rows", _READ, Items, query=(_LIMIT, _TYPE)),
    Route("GET", "/streams/{id}/columns", list_stream_columns, "Show the data dictionary", _READ, Columns,
          query=(_TYPE,)),
)  # fmt: skip
