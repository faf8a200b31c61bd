"""Rows typed by a pinned schema beside rows typed as observed: CPU us an event, to Arrow and to Parquet in memory.

The same events both ways, in turn, medians. Both know their columns already: what is measured is a stream that runs.
"""

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sinks.columns.shape import EMPTY, Branch
from sinks.columns.typing import Typing
from sinks.rows.events import Events
from sinks.rows.system import Record
from tests.benchmarks.measure import Figure
from tests.integration.sinks.world import wire_event

EVENTS = 8_000
ROUNDS = 7
_TIME = {"type": "string", "format": "date-time"}
_MONEY = {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 1_000_000}
_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of payload and the schemas that are tried with it."""

    payloads: Sequence[dict[str, Any]]
    schemas: dict[str, dict[str, Any]]


def kinds() -> dict[str, Kind]:
    """Return orders (13 leaves) and issues (48 leaves, 12 of them times)."""
    draw = random.Random(1)
    return {
        "orders": Kind([_order(n, draw) for n in range(EVENTS)], {"": _of(_order(0, draw)), " and times": _of_times()}),
        "issues": Kind(
            [_issue(n) for n in range(EVENTS)], {"": _of(_issue(0)), " and times": _of(_issue(0), times=True)}
        ),
    }


def _order(n: int, draw: random.Random) -> dict[str, Any]:
    return {
        "id": f"ord_{n:09d}", "status": draw.choice(["open", "paid", "shipped"]), "currency": "EUR",
        "total": draw.randrange(100, 99_999) / 100, "created": f"2026-01-01T{n % 24:02d}:{n % 60:02d}:00Z",
        "customer": {"id": draw.randrange(1 << 30), "name": f"customer {n % 977}", "vip": n % 7 == 0},
        "address": {"city": "Utrecht", "zip": f"{n % 9999:04d}", "country": "NL"}, "channel": "web",
    }  # fmt: skip


def _issue(n: int) -> dict[str, Any]:
    def user(at: int) -> dict[str, Any]:
        return {"login": f"user{at % 97}", "id": at, "site_admin": False, "created_at": "2020-05-06T07:08:09Z"}

    return {
        "action": "opened",
        **{f"part{k}": {"id": n * 10 + k, "title": f"title {n}", "user": user(n + k), "state": "open", "locked": False,
                        "comments": k, "updated_at": f"2026-01-01T00:{n % 60:02d}:00Z"} for k in range(4)},
        "sender": user(n), "created_at": "2026-01-01T00:00:00Z", "pushed_at": "2026-01-01T00:00:01Z",
        "closed_at": "2026-01-01T00:00:02Z",
    }  # fmt: skip


def _of(value: Any, *, times: bool = False) -> dict[str, Any]:
    """Return a schema that types a value as observation does; `times`: date-times by their format."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {name: _of(each, times=times) for name, each in value.items()}}
    if isinstance(value, str):
        return _TIME if times and value[4:5] == "-" and value.endswith("Z") else _TEXT
    return {"type": {bool: "boolean", int: "integer", float: "number"}[type(value)]}


def _of_times() -> dict[str, Any]:
    made = _of(_order(0, random.Random(1)), times=True)
    made["properties"]["total"] = _MONEY
    return made


def typed() -> list[Figure]:
    """Measure every kind, observed and by each of its schemas, in turn."""
    figures = []
    for name, kind in kinds().items():
        records = [Record("T", 0, n, wire_event(n, orjson.dumps(one))) for n, one in enumerate(kind.payloads)]
        ways = {"as observed": _Way(records, Typing())}
        for what, schema in kind.schemas.items():
            title = f"by a schema{what}{' and decimals' if what and name == 'orders' else ''}"
            ways[title] = _Way(records, Typing(pins=(("s@1", orjson.dumps(schema)),)))
        for _round in range(ROUNDS):
            for way in ways.values():
                way.once()
        floor = ways["as observed"]
        for title, way in ways.items():
            read, whole = (statistics.median(each) for each in (way.read, way.whole))
            base_read, base_whole = (statistics.median(each) for each in (floor.read, floor.whole))
            figures.append(
                Figure(
                    f"typed: {name} {title}",
                    f"{read:.1f} us to Arrow ({read / base_read:.2f}), "
                    f"{whole:.1f} to Parquet ({whole / base_whole:.2f})",
                    f"CPU an event, median of {ROUNDS} in turn, {len(records):,} events, {way.size / 1e6:.2f} MB",
                )
            )
    return figures


class _Way:
    """One way of typing; `read` and `whole` are CPU us an event of each round."""

    def __init__(self, records: Sequence[Record], typing: Typing) -> None:
        self._records, self._reader = records, Events(typing.limits, typing.contract())
        first: Branch = typing.grown(EMPTY, typing.pinned())
        self._shape = self._reader.read(records, first, 0).shape
        self.read: list[float] = []
        self.whole: list[float] = []
        self.size = 0

    def once(self) -> None:
        started = time.process_time()
        rows = self._reader.read(self._records, self._shape, 0).rows
        between = time.process_time()
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        ended = time.process_time()
        self.size = len(sink.getvalue())
        self.read.append((between - started) / len(self._records) * 1e6)
        self.whole.append((ended - started) / len(self._records) * 1e6)
