"""The table: overlays before disk, nothing on disk before `apply`, stands and marks in one batch, the sweep."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.wire.position import Position
from streams import seen
from streams.engine.store import RocksStore
from streams.engine.sweep import REMOVE, Sweep
from streams.engine.table import MARK, POSITION, FirstSeenTable, Stand, Writes, pack_stand, position_key
from streams.seen import Seen
from tests.unit.streams.made import TOPIC_ID, source

EVENT = "5553ce72-8cbf-56c0-9427-fc11b97578e5"
DAY_MS = 86_400_000


def state(time_ms: int, *, clean: bool = True, offset: int = 0) -> Seen:
    return Seen(Position(TOPIC_ID, 0, offset, 0), time_ms, clean=clean, fingerprint=b"12345678")


@pytest.fixture
def table(tmp_path: Path) -> Iterator[FirstSeenTable]:
    made = FirstSeenTable("seen", tmp_path)
    made.open()
    yield made
    made.close()


def test_the_newest_open_transaction_answers_before_the_disk(table: FirstSeenTable) -> None:
    key = seen.key("s", EVENT)
    committed = Writes()
    committed.states[key] = state(1).pack()
    table.apply(committed, {0: 5})
    assert table.read([key]).look(key) == state(1)
    older, newer = Writes(), Writes()
    older.states[key] = state(2).pack()
    table.open_writes = (newer, older)
    assert table.read([key]).look(key) == state(2)
    newer.states[key] = None
    assert table.read([key]).look(key) is None


def test_nothing_of_an_open_transaction_survives_the_process(table: FirstSeenTable, tmp_path: Path) -> None:
    key = seen.key("s", EVENT)
    open_writes = Writes()
    open_writes.states[key] = state(1).pack()
    open_writes.stands[TOPIC_ID, 0] = Stand(7, 9)
    table.open_writes = (open_writes,)
    table.close()
    again = FirstSeenTable("seen", tmp_path)
    again.open()
    assert again.read([key]).look(key) is None
    assert again.stands == {}
    again.close()
    table.open()


def test_a_commit_brings_states_stands_and_marks_together(table: FirstSeenTable) -> None:
    writes = Writes()
    writes.states[seen.key("s", EVENT)] = state(1).pack()
    writes.stands[TOPIC_ID, 3] = Stand(7, 9)
    table.apply(writes, {0: 5, 1: 6})
    table.close()
    table.open()
    assert table.stands == {(TOPIC_ID, 3): Stand(7, 9)}
    assert table.marks(4) == {0: 5, 1: 6}


def test_a_commit_and_a_portion_of_the_changelog_are_one_write_each(tmp_path: Path) -> None:
    written = list[list[bytes]]()

    class Noting(RocksStore):
        def write(self, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
            given = list(entries)
            written.append([key[:1] for key, _ in given])
            super().write(given)

    table = FirstSeenTable("seen", tmp_path, Noting)
    table.open()
    writes = Writes()
    writes.states[seen.key("s", EVENT)], writes.stands[TOPIC_ID, 3] = state(1).pack(), Stand(7, 9)
    table.apply(writes, {0: 5})
    table.restore([(seen.key("s", EVENT), None)], {0: 6})
    table.close()
    assert written == [[seen.PREFIX, POSITION, MARK], [seen.PREFIX, MARK]]


def test_recovery_takes_over_states_tombstones_and_stands(table: FirstSeenTable) -> None:
    key, gone = seen.key("s", EVENT), seen.key("t", EVENT)
    stand = position_key((TOPIC_ID, 2)), pack_stand(Stand(11, 12))
    table.restore([(key, state(1).pack()), (gone, state(1).pack()), (gone, None), stand], {0: 4})
    view = table.read([key, gone])
    assert (view.look(key), view.look(gone)) == (state(1), None)
    assert table.stand((TOPIC_ID, 2)) == Stand(11, 12)


def test_a_view_can_forget_what_a_failed_record_told_it(table: FirstSeenTable) -> None:
    view = table.read(())
    before = view.remembered()
    view.remember(seen.key("s", EVENT), state(1))
    view.forget(before)
    assert view.look(seen.key("s", EVENT)) is None


class Transactions:
    """Takes what the sweep removes."""

    def __init__(self) -> None:
        self.fresh, self.removed = False, list[bytes]()

    def remove(self, keys: Any) -> None:
        self.removed.extend(keys)


def test_the_sweep_removes_what_partition_time_has_expired(table: FirstSeenTable) -> None:
    ids = [f"{number:08x}-8cbf-56c0-9427-fc11b97578e5" for number in range(4)]
    now = 50 * DAY_MS
    writes = Writes()
    kept, expired, quarantined, pending = (seen.key("source-1", one) for one in ids)
    writes.states[kept] = state(now - 7 * DAY_MS).pack()
    writes.states[expired] = state(now - 7 * DAY_MS - 1).pack()
    writes.states[quarantined] = state(now - 49 * DAY_MS, clean=False).pack()
    writes.states[pending] = state(0).pack()
    writes.stands[TOPIC_ID, 0] = Stand(1, now)
    table.apply(writes, {})
    table.stands.update(writes.stands)
    newer = Writes()
    newer.states[pending] = state(now).pack()
    table.open_writes = (newer,)
    transactions = Transactions()
    sweep = Sweep(table, transactions, lambda: {"source-1": source()})  # type: ignore[arg-type]
    assert sweep.step() == 1
    assert transactions.removed == [expired]
    transactions.fresh = True
    assert sweep.step() == 0


def test_the_sweep_goes_on_where_it_ended(table: FirstSeenTable) -> None:
    writes = Writes()
    keys = sorted(seen.key("s", f"{number:08x}-8cbf-56c0-9427-fc11b97578e5") for number in range(5))
    for key in keys:
        writes.states[key] = state(1).pack()
    table.apply(writes, {})
    rounds = [[key for key, _ in table.sweep(2)] for _ in range(4)]
    assert rounds == [keys[:2], keys[2:4], keys[4:], keys[:2]]


def swept(table: FirstSeenTable, states: dict[bytes, Seen], stands: dict[tuple[str, int], Stand]) -> list[bytes]:
    """Return what one step of the sweep removes."""
    writes, transactions = Writes(), Transactions()
    writes.states.update((key, one.pack()) for key, one in states.items())
    table.apply(writes, {})
    table.stands.update(stands)
    known: Any = {"source-1": source()}
    Sweep(table, transactions, lambda: known).step()  # type: ignore[arg-type]
    return transactions.removed


def test_the_sweep_goes_by_the_time_of_the_ids_own_partition(table: FirstSeenTable) -> None:
    fast, slow, gone = (seen.key("source-1", f"{number:08x}-8cbf-56c0-9427-fc11b97578e5") for number in range(3))
    at = {fast: (TOPIC_ID, 0), slow: (TOPIC_ID, 1), gone: ("B" * 22, 0)}
    states = {
        key: Seen(Position(topic_id, partition, 0, 0), 0, clean=True, fingerprint=b"12345678")
        for key, (topic_id, partition) in at.items()
    }
    found = swept(table, states, {at[fast]: Stand(1, 8 * DAY_MS), at[slow]: Stand(1, 6 * DAY_MS)})
    assert found == [fast, gone]  # of a topic that is no more: the newest time there is


def test_an_id_of_a_source_that_is_gone_stays_for_the_longest_window(table: FirstSeenTable) -> None:
    ids = [seen.key("gone", f"{number:08x}-8cbf-56c0-9427-fc11b97578e5") for number in range(2)]
    now = 50 * DAY_MS
    states = {ids[0]: state(now - 30 * DAY_MS), ids[1]: state(now - 30 * DAY_MS - 1)}
    assert swept(table, states, {(TOPIC_ID, 0): Stand(1, now)}) == [ids[1]]


def test_a_step_removes_a_bounded_number(table: FirstSeenTable) -> None:
    keys = [seen.key("source-1", f"{number:08x}-8cbf-56c0-9427-fc11b97578e5") for number in range(REMOVE + 10)]
    found = swept(table, dict.fromkeys(keys, state(0)), {(TOPIC_ID, 0): Stand(1, 50 * DAY_MS)})
    assert found == keys[:REMOVE]
