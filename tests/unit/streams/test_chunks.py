"""Fetched records are cut at holes: what follows one is a gap when it is fetched again (rule 9)."""

from types import SimpleNamespace
from typing import Any

import pytest

from schemas import topics
from schemas.wire import ledger as ledger_wire
from streams.engine.chunks import contiguous
from tests.simulation import run
from tests.simulation.actions import History
from tests.simulation.definitions import TENANT, Choice
from tests.simulation.traffic import Item, Posting
from tests.simulation.world import World


def fetched(*offsets: int) -> list[Any]:
    return [SimpleNamespace(offset=offset) for offset in offsets]


@pytest.mark.parametrize(
    ("offsets", "whole"), [((0,), 1), ((5, 6, 7), 3), ((5, 7, 8), 1), ((5, 6, 9), 2), ((0, 1, 3, 5), 2)]
)
def test_records_are_taken_up_to_the_first_hole(offsets: tuple[int, ...], whole: int) -> None:
    assert contiguous(fetched(*offsets)) == whole


def test_a_hole_inside_a_fetch_is_a_loss_that_the_ledger_tells() -> None:
    with run.quiet():
        world = World(History(0, Choice(), 10_000, ()))
        try:
            for key in ("k1", "k2", "k3"):
                world.act(("post", Posting("chat", "single", (Item(key),))))
            log = next(log for topic in world.broker.topics.values() for log in topic.logs if log.end == 3)
            del log.entries[1]
            world.heal()
            decided = [ledger_wire.decode(entry.value or b"") for entry in world._visible(topics.ledger(TENANT))]
        finally:
            for stage in world.stages:
                stage.kill("the end")
    assert [span for record in decided for span in record.lost] == [(1, 2)]
    assert sum(record.items for record in decided) == 2
    assert max(record.next_offset for record in decided) == 3
