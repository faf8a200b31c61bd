"""The list of deliveries on a real Kafka: newest first, filtered, paged without loss or repetition."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas import topics
from schemas.errors import Refused
from schemas.ids import IdKind, event_id
from schemas.reasons import Outcome
from schemas.topics import Kind
from schemas.wire.ledger import First, Other
from tests.integration.sinks.desk import Desk, Posted, Transaction, ids
from tests.integration.sinks.world import World


def made(bootstrap: str, folder: Path, **more: Any) -> Iterator[Desk]:
    world = World(bootstrap, folder)
    desk = Desk(world, **more)
    yield desk
    desk.reader.close()
    world.stop()


@pytest.fixture
def desk(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Desk]:
    yield from made(kafka_bootstrap, tmp_path, partitions=3)


@pytest.fixture
def ordered(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Desk]:
    yield from made(kafka_bootstrap, tmp_path, partitioning="source")


async def walked(desk: Desk, limit: int, **query: str) -> list[dict[str, Any]]:
    """Return all lines, page by page."""
    lines: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(100):
        page = await desk.page(limit, cursor, **query)
        assert page["incomplete"] is False, page
        assert len(page["items"]) <= limit
        lines += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            return lines
    raise AssertionError("the list has no end")


def delivered(lines: list[dict[str, Any]]) -> list[str]:
    return [line["deliveryId"] for line in lines]


async def test_the_list_is_newest_first_over_partitions_and_pages_lose_and_repeat_nothing(desk: Desk) -> None:
    posted: list[Posted] = []
    for n in range(24):
        posted += desk.post(n % 3 + 1, partition=n % 3)
    expected = ids(list(reversed(posted)))
    for limit in (1, 5, 7, 200):
        lines = await walked(desk, limit)
        assert sorted(delivered(lines)) == sorted(expected)
        times = [line["storedAt"] for line in lines]
        assert times == sorted(times, reverse=True)
        for partition in range(3):
            own = [line["position"]["offset"] for line in lines if line["position"]["partition"] == partition]
            assert own == sorted(own, reverse=True)
    assert {line["state"] for line in lines} == {"pending"}
    assert delivered(await walked(desk, 200, source="shop")) == delivered(lines)
    assert await walked(desk, 200, source="nobody") == []


async def test_outcomes_are_told_though_the_ledger_counts_what_is_clean(desk: Desk) -> None:
    desk.post(6)
    others = [
        desk.other(1, Outcome.DUPLICATE, of=First(0, 0, 0)),
        desk.other(2, Outcome.DUPLICATE, item=1, of=First(0, 0, 0)),
        desk.other(4, Outcome.EMPTY),
    ]
    desk.decide(Transaction(0, 5, 0, [(0, 0), (2, 0), (3, 0), (3, 1)], others))
    lines = {line["position"]["offset"]: line for line in await walked(desk, 50)}
    assert {offset: line["outcomes"] for offset, line in lines.items()} == {
        0: ["clean"], 1: ["duplicate"], 2: ["clean", "duplicate"], 3: ["clean"], 4: ["empty"], 5: None,
    }  # fmt: skip
    assert (lines[5]["state"], lines[0]["state"]) == ("pending", "decided")


async def test_each_outcome_can_be_asked_for(desk: Desk) -> None:
    for partition in range(3):
        desk.post(40, partition=partition)
        for first in range(0, 30, 10):
            others = [desk.other(first + 3, Outcome.DUPLICATE, of=First(partition, 0, 0))]
            if first == 10:
                others.append(desk.other(first + 7, Outcome.QUARANTINED, reason="unpinned"))
            odd = {other.offset for other in others}
            cleans = [(offset, 0) for offset in range(first, first + 10) if offset not in odd]
            desk.decide(Transaction(first, first + 10, partition, cleans, others))
    for limit in (2, 50):
        duplicates = await walked(desk, limit, outcome="duplicate")
        assert sorted(_places(duplicates)) == [(p, first + 3) for p in range(3) for first in (0, 10, 20)]
        assert sorted(_places(await walked(desk, limit, outcome="quarantined"))) == [(p, 17) for p in range(3)]
        assert await walked(desk, limit, outcome="shed") == []
    assert sorted(_places(await walked(desk, 7, outcome="pending"))) == [
        (p, n) for p in range(3) for n in range(30, 40)
    ]
    clean = _places(await walked(desk, 50, outcome="clean"))
    assert len(clean) == len(set(clean)) == 3 * (30 - 4)
    assert {tuple(line["outcomes"]) for line in duplicates} == {("duplicate",)}


async def test_a_vendors_event_is_found_with_all_its_copies(desk: Desk) -> None:
    partition = topics.partition(f"{desk.source}:evt_1".encode(), 3)
    desk.post(20, partition=partition, key="evt_0")
    first = desk.post(1, partition=partition, key="evt_1")
    desk.post(700, partition=partition, key="evt_2")
    again = desk.post(2, partition=partition, key="evt_1")
    page = await desk.page(vendorEventId="evt_1")
    assert delivered(page["items"]) == ids([*reversed(again), *first])
    assert (await desk.page(vendorEventId="evt_9"))["items"] == []
    assert (await desk.page(vendorEventId="evt_1", source="nobody"))["items"] == []


async def test_a_vendors_event_is_found_by_the_id_derived_from_it(ordered: Desk) -> None:
    desk = ordered
    derived = event_id(desk.source, IdKind.VENDOR, "evt_7")
    first, again, failed = desk.post(3)
    copy = Other(1, 0, desk.source, "duplicate", None, derived, First(0, 0, 0))
    desk.decide(Transaction(0, 2, 0, [(0, 0)], [copy]))
    assert delivered((await desk.page(vendorEventId="evt_7"))["items"]) == ids([again, first])
    bad = event_id(desk.source, IdKind.EXPLICIT, "evt_8")
    desk.decide(Transaction(2, 3, 0, [], [Other(2, 0, desk.source, "quarantined", "unpinned", bad)]))
    assert delivered((await desk.page(vendorEventId="evt_8"))["items"]) == [failed.delivery_id]


async def test_a_vendors_event_is_found_in_the_tables_too(ordered: Desk) -> None:
    desk = ordered
    stream = desk.world.stream("orders", freshnessSeconds=0.2)
    posted = desk.post(3)
    desk.world.start()
    desk.decide(desk.all_clean(0, 3))
    desk.world.wait_rows(stream, 3)
    assert delivered((await desk.page(vendorEventId="v1"))["items"]) == [posted[1].delivery_id]


async def test_filters_and_cursors_that_cannot_be_read_are_refused(desk: Desk) -> None:
    desk.post(3)
    cursor = (await desk.page(1))["nextCursor"]
    asked: tuple[dict[str, Any], ...] = (
        {"outcome": "lost"}, {"outcome": "fine"}, {"cursor": "%%%"}, {"cursor": "WzEsMl0="},
        {"cursor": _cursor(["x"] * 5)}, {"cursor": _cursor([1e400, "t", 0, 0, -1])},
        {"cursor": _cursor([1, {}, 0, 0, 0])},
        {"cursor": _cursor([1 << 60, desk.names[Kind.WEBHOOK], 0, 0, -1])}, {"vendorEventId": "\ud800"},
        {"cursor": cursor, "outcome": "duplicate"}, {"cursor": cursor, "vendorEventId": "x"},
        {"vendorEventId": "x", "outcome": "clean"},
    )  # fmt: skip
    for query in asked:
        with pytest.raises(Refused) as refused:
            await desk.page(5, **query)
        assert refused.value.reason == "bad_request"


async def test_a_list_that_bounds_cut_goes_on_by_its_cursor(desk: Desk) -> None:
    posted = [one for partition in range(3) for one in desk.post(60, partition=partition)]
    desk.reader.close()
    desk.reader = desk.reading(records=150)
    seen: list[str] = []
    cursor: str | None = None
    cut = 0
    for _ in range(100):
        page = await desk.page(200, cursor)
        seen += delivered(page["items"])
        cut += page["incomplete"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert cut > 0
    assert sorted(seen) == sorted(ids(posted))


async def test_a_record_that_nobody_can_read_is_in_the_list(desk: Desk) -> None:
    desk.post(1)
    desk.plain.produce(desk.names[Kind.WEBHOOK], b"{}", partition=0)
    desk.plain.flush(20)
    desk.decide(Transaction(0, 2, 0, [(0, 0)], [desk.other(1, Outcome.QUARANTINED, reason="bad_record")]))
    first, second = (await desk.page())["items"]
    assert (first["deliveryId"], first["outcomes"], second["outcomes"]) == (None, ["quarantined"], ["clean"])
    assert len((await desk.page(source="shop"))["items"]) == 1


async def test_a_cursor_beyond_the_log_begins_at_its_end(desk: Desk) -> None:
    posted = desk.post(3)
    far = _cursor([1 << 50, desk.names[Kind.WEBHOOK], 0, 1 << 50, -1])
    assert delivered((await desk.page(5, far))["items"]) == ids(posted[::-1])


def _cursor(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _places(lines: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(line["position"]["partition"], line["position"]["offset"]) for line in lines]
