"""The way of a delivery on a real Kafka and real tables: what is found, what is pending, what is not told."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from pyiceberg.catalog import Catalog

from schemas.errors import Overloaded, Refused
from schemas.reasons import Outcome
from schemas.topics import Kind
from schemas.wire.ledger import First
from schemas.wire.position import Position
from sinks.read.deliveries import Deliveries
from sinks.read.deliveries.log import Log, Place
from sinks.read.deliveries.reader import OF_A_TENANT, WAITING_OF_A_TENANT
from tests.house.polling import wait_until
from tests.integration.sinks.desk import Desk, Transaction
from tests.integration.sinks.world import RealClock, World


@pytest.fixture
def desk(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Desk]:
    world = World(kafka_bootstrap, tmp_path)
    made = Desk(world)
    yield made
    made.reader.close()
    world.stop()


async def test_an_accepted_delivery_is_pending_until_it_is_decided_and_never_missing(desk: Desk) -> None:
    (posted,) = desk.post()
    for found in (await desk.by_receipt(posted), await desk.by_id(posted)):
        assert (found["state"], found["items"], found["incomplete"]) == ("pending", [], False)
        assert found["accepted"]["source"] == {"id": desk.source, "name": "shop"}
        assert found["accepted"]["headers"] == [["Content-Type", "application/json"], ["Authorization", "***"]]
        assert found["decided"]["lag"]["seconds"] >= 0
    desk.decide(desk.all_clean(0, 1), end=False)
    assert (await desk.by_receipt(posted))["state"] == "pending"
    desk.decide(desk.all_clean(0, 1), end=None)
    assert (await desk.by_receipt(posted))["state"] == "pending"
    desk.stage.commit_transaction(20)
    found = await desk.by_receipt(posted)
    assert (found["state"], [item["outcome"] for item in found["items"]]) == ("decided", ["clean"])
    assert found["incomplete"] is False


async def test_every_outcome_of_a_batch_is_told_once_and_in_order(desk: Desk) -> None:
    first, batch = desk.post(2)
    desk.decide(desk.all_clean(0, 1))
    others = [
        desk.other(1, Outcome.DUPLICATE, item=0, of=First(0, 0, 0)),
        desk.other(1, Outcome.QUARANTINED, item=2, reason="schema_violation"),
        desk.other(1, Outcome.DROPPED_DENIED, item=3),
    ]
    desk.decide(Transaction(1, 2, 0, [(1, 1), (1, 4)], others, [(1, 2)]))
    found = await desk.by_receipt(batch)
    assert [(item["item"], item["outcome"]) for item in found["items"]] == [
        (0, "duplicate"), (1, "clean"), (2, "quarantined"), (3, "dropped_denied"), (4, "clean"),
    ]  # fmt: skip
    assert found["decided"]["outcomes"] == {"clean": 2, "dropped_denied": 1, "duplicate": 1, "quarantined": 1}
    duplicate, _, failed = found["items"][:3]
    assert duplicate["duplicateOf"]["deliveryId"] == first.delivery_id
    assert duplicate["duplicateOf"]["position"] == {**_place(first), "item": 0}
    assert (failed["reason"], failed["pointer"]) == ("schema_violation", "/amount")
    assert failed["resolved"] is None
    paged = await desk.reader.way(desk.world.tenant, batch.delivery_id, None, 1, 2)
    assert ([item["item"] for item in paged["items"]], paged["nextItem"]) == ([1, 2], 3)


async def test_a_quarantined_item_tells_by_which_copy_it_became_clean(desk: Desk) -> None:
    desk.world.stream("orders")
    bad, good = desk.post(2)
    failed = desk.other(0, Outcome.QUARANTINED, reason="schema_violation")
    desk.decide(Transaction(0, 1, 0, [], [failed], [(0, 0)]))
    by = Position(desk.raw_id, 0, 1, 0)
    desk.decide(Transaction(1, 2, 0, [(1, 0)], resolved=[(bad.position, by)]))
    (item,) = (await desk.by_receipt(bad))["items"]
    assert item["resolved"]["by"] == by.to_wire()
    assert item["resolved"]["deliveryId"] == good.delivery_id
    assert [table["state"] for table in item["resolved"]["tables"]] == ["pending"]


async def test_each_table_tells_the_snapshot_that_holds_the_event(desk: Desk) -> None:
    world = desk.world
    stream = world.stream("orders", freshnessSeconds=0.2)
    world.stream("refunds", eventTypes=["refund"])
    desk.post(3)
    world.start()
    desk.decide(desk.all_clean(0, 2))
    world.wait_rows(stream, 2)
    posted = desk.posted[0, 1]
    desk.decide(desk.all_clean(2, 3))
    world.wait_rows(stream, 3)
    for at, one in ((0, posted), (1, desk.posted[0, 2])):
        found = await desk.by_receipt(one)
        assert found["state"] == "committed", found
        orders, refunds = found["items"][0]["tables"]
        assert refunds["state"] == "notSelected"
        snapshots = snapshots_with_rows(world)
        assert orders["snapshotId"] == snapshots[at], (orders, snapshots)
        assert orders["committedAt"] is not None
    world.stop()
    late = desk.post()[0]
    desk.decide(desk.all_clean(3, 4))
    found = await desk.by_id(late)
    orders = found["items"][0]["tables"][0]
    assert (found["state"], orders["state"]) == ("decided", "pending")
    assert orders["lag"]["records"] >= 1


def snapshots_with_rows(world: World) -> list[str]:
    catalog = world.catalog()
    try:
        table = catalog.load_table((world.tenant, "orders"))
        kept = sorted(table.metadata.snapshots, key=lambda one: one.sequence_number or 0)
        return [
            str(one.snapshot_id) for one in kept
            if one.summary is not None and int(one.summary.additional_properties.get("added-records", 0))
        ]  # fmt: skip
    finally:
        catalog.close()


async def test_a_snapshot_that_has_expired_is_told_by_the_row(desk: Desk) -> None:
    world = desk.world
    stream = world.stream("orders", freshnessSeconds=0.2)
    desk.post(3)
    world.start()
    for offset in range(3):
        desk.decide(desk.all_clean(offset, offset + 1))
        world.wait_rows(stream, offset + 1)
    world.stop()
    first = snapshots_with_rows(world)[0]
    catalog = world.catalog()
    table = catalog.load_table((world.tenant, "orders"))
    ids = [one.snapshot_id for one in table.metadata.snapshots if one.snapshot_id != table.metadata.current_snapshot_id]
    table.maintenance.expire_snapshots().by_ids(ids).commit()
    catalog.close()
    (shown,) = (await desk.by_receipt(desk.posted[0, 0]))["items"][0]["tables"]
    assert (shown["state"], shown["snapshotId"], shown["committedAt"]) == ("committed", first, None)
    assert shown["committedBefore"] is not None


async def test_what_is_unknown_and_what_is_anothers_are_the_same_refusal(desk: Desk) -> None:
    (posted,) = desk.post()
    (foreign,) = desk.post(tenant="another")
    stranger = "019d0bd2-7a80-7cc3-98c4-dc0c0c07398f"
    asked = (
        (desk.world.tenant, stranger, None),
        (desk.world.tenant, foreign.delivery_id, None),
        (desk.world.tenant, "no id", None),
        ("other", posted.delivery_id, None),
        ("other", posted.delivery_id, (desk.raw_id, 0, 0)),
    )
    told = set()
    for tenant, delivery_id, at in asked:
        with pytest.raises(Refused) as refused:
            await desk.reader.way(tenant, delivery_id, at, 0, 200)
        told.add((refused.value.reason, refused.value.detail))
    assert len(told) == 1
    assert (await desk.reader.page("other", {}, 50, None))["items"] == []


async def test_an_id_is_found_though_clocks_differ(desk: Desk) -> None:
    desk.post(50)
    ahead, behind = desk.post(age_ms=-25_000)[0], desk.post(age_ms=40_000)[0]
    desk.post(50)
    for posted in (ahead, behind):
        assert (await desk.by_id(posted))["accepted"]["position"] == _place(posted)


async def test_what_retention_removed_is_said_and_tables_and_ledger_are_asked(desk: Desk) -> None:
    world = desk.world
    stream = world.stream("orders", freshnessSeconds=0.2)
    desk.post(3)
    world.start()
    desk.decide(Transaction(0, 3, 0, [(0, 0), (1, 0)], [desk.other(2, Outcome.DUPLICATE, of=First(0, 0, 0))]))
    world.wait_rows(stream, 2)
    clean, duplicate = desk.posted[0, 1], desk.posted[0, 2]
    _expire(world, desk.names[Kind.WEBHOOK], 3)
    found = await desk.by_receipt(duplicate)
    assert (found["incomplete"], found["accepted"]["kept"]) == (True, False)
    assert [(item["outcome"], item["duplicateOf"]["deliveryId"]) for item in found["items"]] == [("duplicate", None)]
    _expire(world, desk.names[Kind.EVENT], 2)
    for found in (await desk.by_receipt(clean), await desk.by_id(clean)):
        assert found["incomplete"] is True
        assert [item["outcome"] for item in found["items"]] == ["clean"]
        assert found["items"][0]["tables"][0]["state"] == "committed"
    found = await desk.reader.way(world.tenant, desk.post(age_ms=100_000)[0].delivery_id, None, 0, 200)
    assert (found["state"], found["accepted"], found["incomplete"]) == (None, None, True)


async def test_a_bound_cuts_an_answer_and_says_so(desk: Desk) -> None:
    posted = desk.post(300)[-1]
    reader = desk.reading(records=20)
    try:
        found = await reader.way(desk.world.tenant, posted.delivery_id, None, 0, 200)
        assert (found["accepted"], found["incomplete"]) == (None, True)
        page = await reader.page(desk.world.tenant, {"source": "shop"}, 50, None)
        assert page["incomplete"] is True
    finally:
        reader.close()


async def test_a_decision_in_a_long_partition_is_found_by_halving(desk: Desk) -> None:
    desk.post(6_000)
    for first in range(0, 6_000, 500):
        desk.decide(desk.all_clean(first, first + 500))
    for offset in (0, 1, 499, 500, 3_333, 5_999):
        found = await desk.by_receipt(desk.posted[0, offset])
        (item,) = found["items"]
        assert (item["outcome"], item["vendorEventId"], found["incomplete"]) == ("clean", f"v{offset}", False)


class LateLog(Log):
    """A log in which the commit reaches the partitions of some topics a few looks later than the ledger (KIP-98)."""

    def __init__(self, kafka: Mapping[str, Any], late: dict[str, int]) -> None:
        super().__init__(kafka)
        self.late = late

    def ends(self, places: Iterable[Place], *, committed: bool = True) -> dict[Place, int]:
        found = super().ends(places, committed=committed)
        for place in found:
            if committed and self.late.get(place[0], 0) > 0:
                self.late[place[0]] -= 1
                found[place] = 0
        return found


@pytest.mark.parametrize("looks", [1, 2, 3])
async def test_a_transaction_whose_markers_come_one_after_another_hides_nothing(desk: Desk, looks: int) -> None:
    desk.post(2)
    failed = desk.other(1, Outcome.QUARANTINED, reason="schema_violation")
    desk.decide(Transaction(0, 2, 0, [(0, 0)], [failed], [(1, 0)]))
    for offset, kind in ((0, Kind.EVENT), (1, Kind.QUARANTINE)):
        late = {desk.names[kind]: looks}
        desk.reader._logs.put(LateLog(desk.world.kafka, late))
        found = await desk.by_receipt(desk.posted[0, offset])
        assert late == {desk.names[kind]: 0}
        (item,) = found["items"]
        assert (found["incomplete"], item["vendorEventId"]) == (False, f"v{offset}"), found
        desk.reader._logs.get_nowait().close()


async def test_a_table_that_cannot_be_read_is_said_and_the_topics_still_tell(desk: Desk) -> None:
    desk.world.stream("orders")
    (posted,) = desk.post()
    desk.decide(desk.all_clean(0, 1))

    def away() -> Catalog:
        raise OSError("the catalog is away")

    reader = Deliveries(desk.world.kafka, away, desk.world.view, RealClock())
    try:
        found = await reader.way(desk.world.tenant, posted.delivery_id, None, 0, 200)
    finally:
        reader.close()
    assert (found["items"][0]["outcome"], found["tables"], found["incomplete"]) == ("clean", [], True)
    assert "orders cannot be read" in found["why"][0]


async def test_too_many_at_once_are_refused_and_not_queued(desk: Desk) -> None:
    posted = desk.post(100)
    calls = [asyncio.create_task(desk.by_id(one)) for one in posted]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, BaseException)]
    assert all(isinstance(one, Overloaded) for one in refused), refused
    assert len(refused) == len(posted) - OF_A_TENANT - WAITING_OF_A_TENANT
    assert (await desk.by_id(posted[-1]))["state"] == "pending"


async def test_a_tenant_that_asks_too_much_keeps_no_other_out(desk: Desk) -> None:
    posted = desk.post(30)
    calls = [asyncio.create_task(desk.by_id(one)) for one in posted]
    await asyncio.sleep(0)  # let them all begin
    assert (await desk.reader.page("another", {}, 5, None))["items"] == []
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert any(isinstance(one, Overloaded) for one in answers)


async def test_a_decision_that_the_ledger_no_longer_holds_is_not_called_pending(desk: Desk) -> None:
    desk.post(2)
    desk.decide(Transaction(0, 2, 0, [], [desk.other(0, Outcome.EMPTY), desk.other(1, Outcome.EMPTY)]))
    _expire(desk.world, desk.names[Kind.LEDGER], -1)
    found = await desk.by_receipt(desk.posted[0, 0])
    assert (found["state"], found["incomplete"]) == (None, True)
    assert "ledger" in found["why"][0]
    (line, _) = (await desk.page())["items"]
    assert (line["state"], line["outcomes"]) == (None, None)


def _place(posted: object) -> dict[str, object]:
    at = posted.position  # type: ignore[attr-defined]
    return {"topicId": at.topic_id, "partition": at.partition, "offset": at.offset}


def _expire(world: World, topic: str, before: int) -> None:
    where = TopicPartition(topic, 0, before)
    wait_until(lambda: world.admin.delete_records([where])[where].result(20), 20, what="records deleted")
