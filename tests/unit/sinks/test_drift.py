"""Drift: the sums over the quarantine table, by place, with what became clean since."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.table import Table

from schemas.backing.lake import open_catalog
from schemas.settings.processes import LakeSettings
from sinks.read import drift
from sinks.rows.fixed import QUARANTINE
from sinks.table import schema

DAY_S = 86_400
NOW_S = 1_800_000_000


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    catalog = open_catalog(
        LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    )
    catalog.create_namespace("acme")
    yield catalog.create_table(("acme", "hookberg_quarantine"), schema.fixed(QUARANTINE))
    catalog.close()


def row(offset: int, at_s: int = NOW_S, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "kind": "failed", "event_id": f"e{offset}", "tenant_id": "acme", "platform": "github", "source": "main",
        "source_id": "s1", "event_type": "push", "delivery_id": f"d{offset}", "vendor_event_id": f"v{offset}",
        "received_at": at_s, "decided_at": at_s, "position_topic": "T", "position_partition": 0,
        "position_offset": offset, "position_item": 0, "reason": "schema_violation", "pointer": "/a",
        "message": 'a string is not of type "integer"', "schema": "push@1", "payload": b"s3cret",
    } | more  # fmt: skip
    times = {name: datetime.fromtimestamp(given[name], UTC) for name in ("received_at", "decided_at")}
    return {column.name: None for column in QUARANTINE} | given | times


def add(table: Table, *rows: dict[str, Any]) -> None:
    table.append(pa.Table.from_pylist(list(rows), schema=table.schema().as_arrow()))


def shown(table: Table, *, limit: int = 50, since_ms: int = (NOW_S - 30 * DAY_S) * 1000) -> dict[str, Any]:
    return drift.report(table, "s1", since_ms, limit)


def test_events_are_summed_by_place_with_their_times_and_the_newest_as_sample(table: Table) -> None:
    add(table, row(1, NOW_S - 100), row(2, NOW_S - 300), row(3, pointer="/b"))
    add(table, row(4, NOW_S - 50), row(5, NOW_S - 200), row(6, event_type="issues"))
    found = shown(table)
    assert (found["events"], found["open"], found["morePlaces"], found["complete"]) == (6, 6, 0, True)
    first = found["places"][0]
    assert (first["eventType"], first["schema"], first["pointer"], first["count"]) == ("push", "push@1", "/a", 4)
    times = (first["firstAt"], first["lastAt"])
    assert [datetime.fromisoformat(time).timestamp() for time in times] == [NOW_S - 300, NOW_S - 50]
    assert (first["sample"]["deliveryId"], first["sample"]["vendorEventId"]) == ("d4", "v4")
    assert "s3cret" not in str(found)


def test_indexes_of_arrays_are_one_place(table: Table) -> None:
    pointers = ("/lines/0/price", "/lines/12/price", "/lines/3/price", "/0/1/2", "/4/5/6", "/v2/x")
    add(table, *(row(number, pointer=pointer) for number, pointer in enumerate(pointers)))
    assert {place["pointer"]: place["count"] for place in shown(table)["places"]} == {
        "/lines/*/price": 3, "/*/*/*": 2, "/v2/x": 1,
    }  # fmt: skip


def test_what_became_clean_is_no_longer_open(table: Table) -> None:
    add(table, row(1), row(2), row(3))
    add(table, row(2, kind="resolved", by_topic="T", by_partition=0, by_offset=9, by_item=0))
    place = shown(table)["places"][0]
    assert (place["count"], place["open"]) == (3, 2)


def test_only_the_source_its_schemas_and_the_time_asked_for_count(table: Table) -> None:
    add(
        table,
        row(1, source_id="s2"),
        row(2, reason="not_parseable"),
        row(3, NOW_S - 40 * DAY_S),
        row(4, reason="unpinned", pointer="", schema=None),
    )
    assert [place["reason"] for place in shown(table)["places"]] == ["unpinned"]


def test_the_most_frequent_places_are_shown_and_the_others_counted(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(table, *(row(number, pointer=f"/m{number // 2}") for number in range(7)))
    found = shown(table, limit=2)
    assert ([place["count"] for place in found["places"]], found["morePlaces"]) == ([2, 2], 2)
    monkeypatch.setattr(drift, "MAX_PLACES", 3)
    cut = shown(table)
    assert (cut["events"], len(cut["places"]), cut["complete"]) == (7, 3, False)


def test_an_empty_table_has_no_drift(table: Table) -> None:
    assert shown(table) == drift.NOTHING
