"""A source's drift: where its events failed their schemas, since when, how often. Read from the quarantine table.

Lives here: the sums over rows. Not here: paging through single rows (quarantine.py). One row is one event: quarantine
is deduplicated (rule 15), so counts are of events and not of deliveries. Rows are read in batches and only the columns
that are summed; payloads are never touched.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg import expressions
from pyiceberg.expressions import And
from pyiceberg.table import Table

from schemas.reasons import Reason
from schemas.wire.quarantine import FAILED, RESOLVED
from sinks.read.rows import json_value

MAX_ROWS = 1_000_000
MAX_PLACES = 5_000
"""Of different places kept while reading; past it new ones are counted together as `morePlaces`."""
DRIFT = (Reason.SCHEMA_VIOLATION.value, Reason.UNPINNED.value)
_POSITION = ("position_topic", "position_partition", "position_offset", "position_item")
_PLACE = ("event_type", "schema", "reason", "pointer", "message")
_SAMPLE = ("event_id", "delivery_id", "vendor_event_id")
_INDEX = re.compile(r"/\d+(?=/|$)")
equal: Any = expressions.EqualTo  # their signatures come from a plugin that mypy does not follow
among: Any = expressions.In
at_least: Any = expressions.GreaterThanOrEqual


@dataclass(slots=True)
class _Place:
    count: int
    open: int
    first: Any
    last: Any
    sample: Mapping[str, Any]


def report(table: Table, source_id: str, since_ms: int, limit: int) -> dict[str, Any]:
    """Return events, open, places (at most `limit`, the most frequent first), morePlaces, complete; blocks."""
    of_source = And(equal("source_id", source_id), among("reason", DRIFT))
    done = _resolved(table, source_id)
    recent = And(And(of_source, equal("kind", FAILED)), at_least("received_at", _iso(since_ms)))
    fields = (*_PLACE, *_SAMPLE, *_POSITION, "received_at")
    places: dict[tuple[Any, ...], _Place] = {}
    read = beyond = 0
    complete = True
    for batch in table.scan(row_filter=recent, selected_fields=fields).to_arrow_batch_reader():
        if read >= MAX_ROWS:
            complete = False
            break
        read += batch.num_rows
        beyond += _add(places, _sums(pa.Table.from_batches([batch]), done))
    shown = sorted(places.items(), key=lambda pair: (-pair[1].count, str(pair[0])))
    return {
        "events": sum(place.count for place in places.values()) + beyond,
        "open": sum(place.open for place in places.values()),
        "places": [_wire(key, place) for key, place in shown[:limit]],
        "morePlaces": max(0, len(shown) - limit),
        "complete": complete and not beyond,
    }


NOTHING = {"events": 0, "open": 0, "places": [], "morePlaces": 0, "complete": True}
"""The report before the table's first commit."""


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def _resolved(table: Table, source_id: str) -> pa.Table:
    """Return the positions of a source's events that became clean after all."""
    chosen = And(equal("kind", RESOLVED), equal("source_id", source_id))
    found = table.scan(row_filter=chosen, selected_fields=_POSITION, limit=MAX_ROWS).to_arrow()
    keys = found.select(list(_POSITION)).group_by(list(_POSITION)).aggregate([])
    return keys.append_column("done", pa.array([1] * keys.num_rows, pa.int64()))


def _sums(rows: pa.Table, done: pa.Table) -> Iterable[dict[str, Any]]:
    """Return one row a place: its counts, times and newest event."""
    if not rows.num_rows:
        return []
    joined = rows.join(done, list(_POSITION), join_type="left outer") if done.num_rows else rows
    left = pc.is_null(joined.column("done")) if done.num_rows else pa.array([True] * rows.num_rows)
    joined = joined.append_column("open", pc.cast(left, pa.int64())).sort_by("received_at")
    sums = [("open", "count"), ("open", "sum"), ("received_at", "min"), ("received_at", "max")]
    newest = [(name, "last") for name in _SAMPLE]
    grouped = joined.group_by(list(_PLACE), use_threads=False).aggregate([*sums, *newest])
    found: list[dict[str, Any]] = grouped.to_pylist()
    return found


def _add(places: dict[tuple[Any, ...], _Place], sums: Iterable[dict[str, Any]]) -> int:
    """Add a batch's sums to the places; returns the events of places past MAX_PLACES."""
    beyond = 0
    for row in sums:
        key = (
            row["event_type"],
            row["schema"],
            row["reason"],
            _INDEX.sub("/*", row["pointer"] or ""),
            row["message"] or "",
        )
        sample = {name: row[f"{name}_last"] for name in _SAMPLE}
        place = places.get(key)
        if place is None:
            if len(places) >= MAX_PLACES:
                beyond += row["open_count"]
                continue
            places[key] = _Place(
                row["open_count"], row["open_sum"], row["received_at_min"], row["received_at_max"], sample
            )
            continue
        place.count += row["open_count"]
        place.open += row["open_sum"]
        place.first = min(place.first, row["received_at_min"])
        if row["received_at_max"] >= place.last:
            place.last, place.sample = row["received_at_max"], sample
    return beyond


def _wire(key: tuple[Any, ...], place: _Place) -> dict[str, Any]:
    event_type, schema, reason, pointer, message = key
    return {
        "eventType": event_type,
        "schema": schema,
        "reason": reason,
        "pointer": pointer,
        "message": message,
        "count": place.count,
        "open": place.open,
        "firstAt": json_value(place.first),
        "lastAt": json_value(place.last),
        "sample": {
            "eventId": json_value(place.sample["event_id"]),
            "deliveryId": json_value(place.sample["delivery_id"]),
            "vendorEventId": place.sample["vendor_event_id"],
            "receivedAt": json_value(place.last),
        },
    }
