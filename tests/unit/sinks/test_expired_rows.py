"""What a delivery's way says of rows that `retentionDays` has removed: committed once, expired now, never guessed."""

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.definitions.cuts import Cut
from sinks.read.deliveries import landing, records, tables
from sinks.read.deliveries.budget import Budget
from sinks.read.deliveries.commits import Landed
from sinks.read.deliveries.facts import InTable
from sinks.source import Topic
from sinks.table.partitions import Arrangement
from sinks.upkeep.retain import DAY_MS
from tests.unit.sinks.ground import NAME, STREAM, TOPIC, Ground
from tests.unit.sinks.test_retention import DAYS, TODAY_MS, VIEW, looked, put, written

CUT_MS = TODAY_MS - DAYS * DAY_MS


class _Record:
    def __init__(self, offset: int, value: bytes | None) -> None:
        self._offset, self._value = offset, value

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes | None:
        return self._value


def told(ground: Ground, offsets: Sequence[int], why: list[str] | None = None) -> list[InTable]:
    """Return what the table did with clean events, each asked for as the one item of a delivery."""
    values = ground.log.topics[TOPIC][1][0]
    found = []
    for at in offsets:
        budget = Budget(time.monotonic)
        record: Any = _Record(at, values[at])
        clean = records.clean(record)
        assert clean is not None
        readings = tables._load(lambda: ground.reader, VIEW, NAME, STREAM, budget)
        stage: Any = SimpleNamespace(budget=budget, readings=lambda *_, found=readings: found)
        (one,) = landing.of_cleans(stage, Topic(TOPIC, "TOPICID1", 1), [clean])[0]
        found.append(one)
        if why is None:
            assert not budget.why
        else:
            why += budget.why
    return found


@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_a_row_that_retention_removed_is_expired_and_a_younger_one_committed(ground: Ground, layout: str) -> None:
    ground.layout = layout
    written(ground)
    before = told(ground, [0, 12])
    assert [one.taken.state for one in before] == [Landed.COMMITTED] * 2
    looked(ground)
    old, young = told(ground, [0, 12])
    assert (old.taken.state, old.taken.expired_before_ms) == (Landed.EXPIRED, CUT_MS)
    assert old.taken.commit == before[0].taken.commit, "the snapshot that took it is kept"
    assert (young.taken.state, young.taken.expired_before_ms) == (Landed.COMMITTED, None)


def test_an_expired_row_of_an_expired_snapshot_is_no_incomplete_answer(ground: Ground) -> None:
    table = written(ground).table()
    looked(ground)
    gone = [one.snapshot_id for one in table.metadata.snapshots]
    ground.table().maintenance.expire_snapshots().by_ids(gone).commit()
    (old,) = told(ground, [0])
    assert (old.taken.state, old.taken.commit, old.snapshot_id) == (Landed.EXPIRED, None, None)
    assert old.taken.before_ms is not None


def test_an_old_row_that_is_still_in_a_file_with_younger_ones_is_committed(ground: Ground) -> None:
    ground.log.make(TOPIC)
    put(ground, 0, 5, 5)
    put(ground, 5, 3, 3)
    put(ground, 8, 2, 0)
    ground.run(arrangement=Arrangement((Cut("bucket", "event_id", 1),)))
    assert looked(ground).report.removed_rows == 5
    assert [one.taken.state for one in told(ground, [0, 6, 9])] == [
        Landed.EXPIRED, Landed.COMMITTED, Landed.COMMITTED,
    ]  # fmt: skip


@pytest.mark.parametrize("bound", ["MAX_FILES", "MAX_PLANNED"])
def test_nothing_is_called_expired_that_could_not_be_looked_for(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """In a table without a cut by time the files of other days may hold the row; those that were not read may, too."""
    ground.log.make(TOPIC)
    put(ground, 0, 5, 5)
    put(ground, 5, 2, 3)
    put(ground, 7, 3, 0)
    put(ground, 10, 2, 3)
    put(ground, 12, 3, 0)
    ground.run(arrangement=Arrangement((Cut("bucket", "event_id", 1),)))
    looked(ground)
    monkeypatch.setattr(tables, bound, 0)
    why: list[str] = []
    (left,) = told(ground, [6], why)
    assert left.taken.state is Landed.COMMITTED
    assert why
