"""A page of a tenant's quarantine table: what failed and has not become clean since, newest first.

Lives here: filters, paging and the join of `failed` with `resolved`. Filters: `source` (name or id), `reason`,
`schema`, `eventType`, `after`, `before` (RFC 3339), `kind` (`open` default: failed without resolved; `failed`,
`resolved`, `all`).
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyiceberg import expressions
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, Or
from pyiceberg.table import Table

from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.quarantine import FAILED, RESOLVED
from sinks.read.rows import json_value

MAX_ROWS = 200_000
"""Rows looked at for one page; a table with more is paged by time (`before`)."""
equal: Any = expressions.EqualTo  # their signatures come from a plugin that mypy does not follow
at_least: Any = expressions.GreaterThanOrEqual
below: Any = expressions.LessThan
_EQUAL = {"reason": "reason", "schema": "schema", "eventType": "event_type"}
FILTERS = ("source", *_EQUAL, "after", "before", "kind")
"""What a page may be filtered by: exactly the query parameters of `GET /quarantine`."""
_KINDS = ("open", FAILED, RESOLVED, "all")
KEY = ("position_topic", "position_partition", "position_offset", "position_item")
_SHOWN = (
    "kind", "event_id", "platform", "source", "source_id", "source_kind", "event_type", "vendor_event_id",
    "delivery_id", "received_at", "decided_at", "reason", "pointer", "message", "schema", "content_type",
    "auth_coverage", "payload_text", "payload",
)  # fmt: skip


def page(table: Table, query: Mapping[str, str], limit: int, cursor: str | None) -> dict[str, Any]:
    """Return `{items, nextCursor}`; raises `Refused(bad_request)` for a filter that cannot be read; blocks."""
    kind = query.get("kind", "open")
    if kind not in _KINDS:
        raise Refused(Reason.BAD_REQUEST, f"kind is one of {', '.join(_KINDS)}")
    after = _read_cursor(cursor)
    small = ["kind", *KEY, "decided_at", "_partition", "_offset"]
    keys = table.scan(row_filter=where(query), selected_fields=tuple(small), limit=MAX_ROWS).to_arrow()
    resolved: set[tuple[Any, ...]] = set()
    if kind == "open":
        done = table.scan(row_filter=equal("kind", RESOLVED), selected_fields=KEY, limit=MAX_ROWS).to_arrow()
        resolved = set(zip(*(done.column(name).to_pylist() for name in KEY), strict=True))
    found = []
    for row in keys.to_pylist():
        if kind != "all" and (row["kind"] == RESOLVED) != (kind == RESOLVED):
            continue
        if kind == "open" and tuple(row[name] for name in KEY) in resolved:
            continue
        order = (int(row["decided_at"].timestamp() * 1e6), row["_partition"], row["_offset"])
        if after is None or order < after:
            found.append(order)
    found.sort(reverse=True)
    chosen, more = found[:limit], len(found) > limit
    if not chosen:
        return {"items": [], "nextCursor": None}
    between = And(
        at_least("decided_at", _iso(chosen[-1][0])),
        below("decided_at", _iso(chosen[0][0] + 1)),
    )
    rows = table.scan(row_filter=And(between, where(query))).to_arrow()
    return {"items": _items(rows, chosen), "nextCursor": _cursor(chosen[-1]) if more else None}


def _items(rows: pa.Table, chosen: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
    by_order = {
        (int(row["decided_at"].timestamp() * 1e6), row["_partition"], row["_offset"]): row for row in rows.to_pylist()
    }
    return [_item(by_order[order]) for order in chosen if order in by_order]


def _item(row: dict[str, Any]) -> dict[str, Any]:
    made = {_camel(name): json_value(row[name]) for name in _SHOWN if name != "payload"}
    if row["payload_text"] is None and row["payload"] is not None:
        made["payloadBase64"] = json_value(row["payload"])
    made["position"] = _position(row, "position")
    made["by"] = _position(row, "by") if row["by_topic"] is not None else None
    return made


def _position(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {
        "topicId": row[f"{prefix}_topic"],
        "partition": row[f"{prefix}_partition"],
        "offset": row[f"{prefix}_offset"],
        "item": row[f"{prefix}_item"],
    }


def where(query: Mapping[str, Any]) -> BooleanExpression:
    """Return the filter that the list and a redrive share; raises `Refused(bad_request)`."""
    made: BooleanExpression = AlwaysTrue()
    for name, column in _EQUAL.items():
        if name in query:
            made = And(made, equal(column, query[name]))
    if "source" in query:
        made = And(made, Or(equal("source", query["source"]), equal("source_id", query["source"])))
    if "after" in query:
        made = And(made, at_least("received_at", _moment("after", query["after"])))
    if "before" in query:
        made = And(made, below("received_at", _moment("before", query["before"])))
    return made


def _moment(name: str, text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(
            Reason.BAD_REQUEST, f"{name}: {text!r} is not an RFC 3339 time, for example 2026-11-21T10:00:00Z"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def _iso(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000).isoformat()


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _cursor(order: tuple[int, int, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(order).encode()).decode()


def _read_cursor(cursor: str | None) -> tuple[int, int, int] | None:
    if cursor is None:
        return None
    try:
        decided, partition, offset = json.loads(base64.urlsafe_b64decode(cursor))
        return int(decided), int(partition), int(offset)
    except (ValueError, TypeError) as error:
        raise Refused(Reason.BAD_REQUEST, "cursor: not one that this list gave; begin without a cursor") from error
