"""The quarantine and ledger tables of a tenant, and the reading side over all tables."""

import time

import pytest

from schemas import topics
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire import ledger, quarantine
from schemas.wire.position import Position
from sinks.read import Reader
from tests.house.polling import wait_until
from tests.integration.sinks.test_oddities import duck
from tests.integration.sinks.world import World


def record(tenant: str, n: int, kind: str = quarantine.FAILED, payload: bytes = b'{"a":1}') -> bytes:
    now = time.time_ns() // 1000
    at = Position("RAW", 0, n, 0)
    return quarantine.encode(
        quarantine.Quarantine(
            kind, f"e{n}", tenant, "shop", "shop" if n % 2 else "other", "sid", "webhook.shop", "push", None, f"d{n}",
            now, now + n, at, Reason.SCHEMA_VIOLATION, "/a", "a is not a string", "shop.push@1", "application/json",
            "full", payload, Position("RAW", 0, n + 100, 0) if kind == quarantine.RESOLVED else None,
        )
    )  # fmt: skip


async def test_lists_what_failed_and_was_not_resolved(world: World) -> None:
    topic = topics.quarantine(world.tenant, "shop")
    world.own_topic(topics.Kind.QUARANTINE, topic)
    reader = Reader(world.lake, world.catalog)
    assert await reader.quarantine(world.tenant, {}, 10, None) == {"items": [], "nextCursor": None}
    world.start()
    world.produce([record(world.tenant, n) for n in range(6)] + [record(world.tenant, 6, payload=b"\xff")], topic)
    world.produce([record(world.tenant, 2, quarantine.RESOLVED), b"garbage"], topic)
    identifier = (world.tenant, "hookberg_quarantine")
    catalog = world.catalog()
    wait_until(lambda: catalog.table_exists(identifier), 20)
    wait_until(lambda: catalog.load_table(identifier).scan().count() == 9, 20)
    first = await reader.quarantine(world.tenant, {}, 4, None)
    second = await reader.quarantine(world.tenant, {}, 4, first["nextCursor"])
    found = [item["eventId"] for item in (*first["items"], *second["items"])]
    assert found == ["e6", "e5", "e4", "e3", "e1", "e0", None]
    assert first["items"][0]["payloadBase64"] == "/w=="
    assert second["nextCursor"] is None
    mine = await reader.quarantine(world.tenant, {"source": "shop", "reason": "schema_violation"}, 10, None)
    assert [item["eventId"] for item in mine["items"]] == ["e5", "e3", "e1"]
    assert (await reader.quarantine(world.tenant, {"kind": "resolved"}, 10, None))["items"][0]["by"]["offset"] == 102
    assert (await reader.quarantine(world.tenant, {"before": "1969-01-01T00:00:00Z"}, 10, None))["items"] == []
    for bad in ({"kind": "x"}, {"after": "x"}):
        with pytest.raises(Refused):
            await reader.quarantine(world.tenant, bad, 10, None)
    reader.close()


def test_keeps_the_ledger_as_rows(world: World) -> None:
    topic = topics.ledger(world.tenant)
    world.own_topic(topics.Kind.LEDGER, topic)
    world.start()
    counts = (
        ledger.Count("sid", "push", 29_000_000, "clean", 3),
        ledger.Count("sid", "push", 29_000_000, "duplicate", 1),
    )
    others = (ledger.Other(7, 0, "sid", "duplicate", None, "e1", ledger.First(0, 2, 0)),)
    entry = ledger.Ledger("t.webhook.shop", "RAW", 0, 4, 8, "0", 1_800_000_000_000_000, 4, counts, others, ((1, 4),))
    world.produce([ledger.encode(entry)], topic)
    catalog = world.catalog()
    wait_until(lambda: catalog.table_exists((world.tenant, "hookberg_ledger")), 20)
    table = catalog.load_table((world.tenant, "hookberg_ledger"))
    wait_until(lambda: table.refresh().scan().count() == 3, 20)
    found = duck(table.metadata_location, "SELECT outcome, sum(n) FROM TABLE GROUP BY 1 ORDER BY 1")
    assert found == [("clean", 3), ("duplicate", 1), ("lost", 3)]
    items = [row["items"] for row in table.scan().to_arrow().to_pylist() if row["outcome"] == "duplicate"]
    assert items[0][0]["of_offset"] == 2


async def test_reads_tables_for_the_api(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    reader = Reader(world.lake, world.catalog)
    with pytest.raises(Refused) as refused:
        await reader.table(stream)
    assert refused.value.reason is Reason.NOT_FOUND
    world.start()
    for n in range(5):
        world.events([{"n": n, "deep": [{"x": n}]}], first=n)
        world.wait_rows(stream, n + 1)
    told = await reader.table(stream)
    assert told["rows"] == 5
    assert set(told["snippets"]) == {"duckdb", "pyiceberg", "polars", "spark", "trino"}
    newest = await reader.rows(stream, 2)
    assert [row["payload"]["n"] for row in newest] == [4, 3]
    assert newest[0]["payload"]["deep"] == [{"x": 4}]
    columns = {column["name"]: column for column in await reader.columns(stream)}
    assert columns["payload.n"]["type"] == "long"
    assert all(column["doc"] for column in columns.values())
    reader.close()
