"""What is told of a split stream's tables, and what ends them: the API's answers, the audit, drop and drain."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import StreamView
from schemas.errors import Refused
from schemas.settings.processes import LakeSettings
from sinks.audit.report import TableRow, sum_of
from sinks.audit.tables import Clean, CleanTopic, check
from sinks.jobs.drop_table import drop
from sinks.jobs.tenants import drained
from sinks.read.deliveries.budget import Budget
from sinks.read.deliveries.tables import _of_stream
from sinks.read.marks import open_tables
from sinks.read.reader import Reader
from sinks.split.plan import Plan
from tests.unit.sinks.ground import NAME, STREAM, TOPIC
from tests.unit.sinks.split_ground import SplitGround

KINDS = ["track", "identify", "track", "", "page", "track"]
RAW = "RAWTOPICIDRAWTOPICID01"
DEFINITION = StreamDefinition.model_validate(
    {"name": "o", "topics": ["acme.event.shop"], "targetTable": "orders", "splitBy": "eventType"}
)
VIEW = StreamView(STREAM, "acme", "o", 1, DEFINITION, "running", 1, accept_loss=False, frozen=False)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SplitGround]:
    made = SplitGround(tmp_path_factory.mktemp("split"))
    made.log.make(TOPIC)
    made.put(KINDS)
    made.run()
    yield made
    made.close()


def reader(ground: SplitGround) -> Reader:
    settings = LakeSettings(
        catalog_uri=f"sqlite:///{ground.folder}/catalog.db", catalog_warehouse=f"file://{ground.folder}/warehouse"
    )
    return Reader(settings, lambda: ground.reader)


async def test_the_streams_own_table_names_the_others(ground: SplitGround) -> None:
    told = await reader(ground).table(VIEW)
    assert (told["table"], told["eventType"], told["rows"]) == ("orders", None, 1)
    assert told["tables"] == [
        {"table": f"orders_{kind}", "eventType": kind} for kind in ("identify", "page", "track")
    ]  # fmt: skip
    one = await reader(ground).table(VIEW, "track")
    assert (one["table"], one["eventType"], one["rows"], one["tables"]) == ("orders_track", "track", 3, [])
    assert 'acme"."orders_track' in one["snippets"]["duckdb"]


async def test_rows_and_columns_are_those_of_the_type_that_is_named(ground: SplitGround) -> None:
    rows = await reader(ground).rows(VIEW, 10, "track")
    assert {row["event_type"] for row in rows} == {"track"}
    names = {one["name"] for one in await reader(ground).columns(VIEW, "page")}
    assert {"payload.of_4", "payload.n"} <= names
    assert "payload.of_5" not in names
    with pytest.raises(Refused, match="no table of event type 'none'"):
        await reader(ground).columns(VIEW, "none")


def clean_topic(kinds: list[str], ids: dict[int, int]) -> CleanTopic:
    topic, clean = CleanTopic("acme.event.shop", "TOPICID1"), Clean(0)
    topic.partitions.append(clean)
    for at, kind in enumerate(kinds):
        topic.add(clean, at, kind, (RAW, 0), at << 14, ids[at])
    return topic


def audited(ground: SplitGround, kinds: list[str]) -> list[TableRow]:
    rows = []
    for one in open_tables(ground.reader, VIEW, changed=False):
        table = one.table(lambda *_: 0, lambda *_: None)
        ids = {
            key >> 14: mark for marks in table.rows.values() for key, mark in zip(marks.keys, marks.ids, strict=True)
        }
        check(one.row, table, clean_topic(kinds, {at: ids.get(at, 0) for at in range(len(kinds))}), {})
        rows.append(one.row)
    return rows


def test_the_audit_asks_each_table_for_its_own_events_and_sums_them(ground: SplitGround) -> None:
    rows = audited(ground, KINDS)
    assert [(row.table, row.clean, row.rows, row.findings.count) for row in rows] == [
        ("acme.orders", 1, 1, 0), ("acme.orders_identify", 1, 1, 0), ("acme.orders_page", 1, 1, 0),
        ("acme.orders_track", 3, 3, 0),
    ]  # fmt: skip
    whole = sum_of(rows)
    assert (whole.table, whole.clean, whole.rows) == ("4 tables together", len(KINDS), len(KINDS))


def test_the_audit_finds_an_event_in_the_table_of_another_type(ground: SplitGround) -> None:
    rows = {row.table: row for row in audited(ground, ["track", "page", *KINDS[2:]])}
    assert rows["acme.orders_page"].findings.first[0].what == "is 1 times clean and 0 rows of acme.orders_page"
    assert "no clean event that it should hold" in rows["acme.orders_identify"].findings.first[0].what
    assert rows["acme.orders_track"].findings.count == 0


def test_a_delivery_is_looked_for_in_the_tables_of_its_types(ground: SplitGround) -> None:
    budget = Budget(time.monotonic)
    found = _of_stream(lambda: ground.reader, VIEW, budget, {"track"})
    assert [(one.name, one.selects("track"), one.selects("page")) for one in found] == [
        ("acme.orders", False, False), ("acme.orders_track", True, False),
    ]  # fmt: skip
    assert found[0].selects("unheard.of")
    assert len(_of_stream(lambda: ground.reader, VIEW, budget, None)) == 4


def test_a_deleted_tenant_waits_for_each_table(ground: SplitGround) -> None:
    world: Any = SimpleNamespace(catalog=ground.reader)
    ground.plan = Plan(event_types=("t*", "page", ""))
    found = {spec.identifier[1]: selects for spec, selects in drained.tables_of(world, ground.split().spec)}
    kinds = ("track", "page", "identify", "trick")
    assert {name: [kind for kind in kinds if selects(kind)] for name, selects in found.items()} == {
        "orders": ["trick"], "orders_track": ["track"], "orders_page": ["page"], "orders_identify": [],
    }  # fmt: skip


def test_a_dropped_streams_tables_go_together(tmp_path: Path) -> None:
    ground = SplitGround(tmp_path)
    ground.log.make(TOPIC)
    ground.put(KINDS)
    ground.run()
    arguments = {"streamId": STREAM, "namespace": NAME[0], "table": NAME[1]}

    def broken(_seconds: float) -> None:
        raise OSError("the process ends")

    with pytest.raises(OSError, match="the process ends"):
        drop(ground.reader, arguments, broken)
    assert drop(ground.reader, arguments, lambda _s: None) == ({"dropped": True, "tables": 4}, False)
    assert ground.reader.list_tables("acme") == []
    ground.close()
