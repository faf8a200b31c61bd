"""The agent's body: a record whose decision fails stops nobody (rule 13); a new source is asked for once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.definitions.view import EMPTY, Snapshot
from schemas.reasons import Outcome, Reason
from schemas.vendors.base import Facts, Vendor
from streams.agents.ingest import Ingest
from streams.emit import Decided
from streams.engine.agent import Batch
from streams.engine.directory import LiveTopic
from streams.engine.table import FirstSeenTable
from tests.unit.streams.made import PLACE, VENDOR, record, snapshot, source

TOPIC = LiveTopic(PLACE.raw, PLACE.topic_id, 4, PLACE.event, PLACE.quarantine, "acme.ledger", 4, PLACE.limits)


class Registry:
    """Knows the source only after it was asked anew."""

    def __init__(self, known: Snapshot, *, late: bool = False) -> None:
        self.known, self.late, self.asked = known, late, 0

    def current(self) -> Snapshot:
        return EMPTY if self.late and not self.asked else self.known

    async def refresh(self) -> Snapshot:
        self.asked += 1
        return self.known


@pytest.fixture
def table(tmp_path: Path) -> Iterator[FirstSeenTable]:
    made = FirstSeenTable("seen", tmp_path)
    made.open()
    yield made
    made.close()


async def decide(
    table: FirstSeenTable, registry: Registry, vendor: Vendor, *bodies: bytes, turned: bool = False
) -> list[Decided]:
    records = [record(value, n) for n, value in enumerate(bodies)]
    if turned:
        records = [msgspec.structs.replace(each, headers=each.headers[::-1]) for each in records]
    batch = Batch(TOPIC, PLACE, tuple(records), 0)

    class Once:
        def __init__(self) -> None:
            self.left = [batch]

        def __aiter__(self) -> "Once":
            return self

        async def __anext__(self) -> Batch:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop()

    body = Ingest(table, registry, lambda _platform: vendor, lambda: 5)
    batches: Any = Once()
    return [one async for decided in body.agent(batches) for one in decided]


def breaking(item: Any, headers: Any) -> Facts:
    if "boom" in item:
        raise ZeroDivisionError
    return VENDOR.facts(item, headers)


BROKEN = Vendor(name="shop", title="", docs="", auth=None, facts=breaking)


async def test_a_record_that_fails_is_quarantined_alone_and_nothing_of_it_is_remembered(table: FirstSeenTable) -> None:
    registry = Registry(snapshot(source()))
    bodies = b'{"id":"a"}', b'[{"id":"b"},{"boom":1}]', b'{"id":"b"}', b'{"id":"a"}'
    found = [one.decision for one in await decide(table, registry, BROKEN, *bodies)]
    assert [one.outcome for one in found] == [
        Outcome.CLEAN, Outcome.QUARANTINED, Outcome.CLEAN, Outcome.DUPLICATE,
    ]  # fmt: skip
    assert found[1].fault is not None
    assert found[1].fault.reason is Reason.BAD_RECORD
    assert registry.asked == 0


async def test_nothing_is_remembered_of_a_record_that_fails_after_some_of_it_was_decided(table: FirstSeenTable) -> None:
    large = b'{"id":"b","x":"' + b"y" * 40_000 + b'"}'  # more than is decided at a time
    found = await decide(table, Registry(snapshot(source())), BROKEN, b"[" + large + b',{"boom":1}]', large)
    assert [one.decision.outcome for one in found] == [Outcome.QUARANTINED, Outcome.CLEAN]


@pytest.mark.parametrize("turned", [False, True], ids=["as ingress writes them", "in another order"])
async def test_a_source_that_is_not_known_yet_is_asked_for_before_anything_is_decided(
    table: FirstSeenTable, *, turned: bool
) -> None:
    registry = Registry(snapshot(source()), late=True)
    (found,) = await decide(table, registry, VENDOR, b'{"id":"a"}', turned=turned)
    assert (found.decision.outcome, registry.asked) == (Outcome.CLEAN, 1)


async def test_known_sources_are_not_asked_for_whatever_the_order_of_the_headers(table: FirstSeenTable) -> None:
    registry = Registry(snapshot(source()))
    (found,) = await decide(table, registry, VENDOR, b'{"id":"a"}', turned=True)
    assert (found.decision.outcome, registry.asked) == (Outcome.CLEAN, 0)


async def test_ids_repeated_inside_a_delivery_and_a_batch_are_seen_before_anything_is_committed(
    table: FirstSeenTable,
) -> None:
    bodies = b'[{"id":"a"},{"id":"b"},{"id":"a"}]', b'[{"id":"b"},{"id":"c"}]'
    found = await decide(table, Registry(snapshot(source())), VENDOR, *bodies)
    assert [one.decision.outcome for one in found] == [
        Outcome.CLEAN, Outcome.CLEAN, Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.CLEAN,
    ]  # fmt: skip
