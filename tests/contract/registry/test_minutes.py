"""Minutes: absolute values, told any number of times, never replaced by older ones, gone with their source."""

from dataclasses import replace

import pytest

from schemas.backing.registry import SYSTEM, Registry
from schemas.backing.registry.objects.minutes import MAX_ROWS
from schemas.definitions.minute import Complete, MinuteCounts
from tests.contract.registry.make import source
from tests.fakes.clock import ManualClock


def row(source_id: str, minute: int = 100, **more: object) -> MinuteCounts:
    made = MinuteCounts(source_id, minute, "ledger-1", 0, first=5, last=7, types={"push": {"clean": 3}})
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_minute_told_twice_is_told_once_and_an_older_telling_changes_nothing(registry: Registry) -> None:
    made = source(registry)
    newer = row(made.id, last=9, types={"push": {"clean": 4, "duplicate": 1}}, other_times={"clean": 1})
    for told in (row(made.id), newer, newer, row(made.id)):
        registry.minutes.tell([told])
    assert registry.minutes.read(made.id, 0, 1_000) == (newer,)


def test_a_minute_may_have_several_rows_and_only_those_of_the_window_are_read(registry: Registry) -> None:
    made, other = source(registry), source(registry, "github", auth={"type": "github"})
    rows = [row(made.id, 99), row(made.id), row(made.id, partition=1), row(made.id, first=8, last=8)]
    registry.minutes.tell([*rows, row(made.id, 101), row(other.id)])
    assert {(r.minute, r.partition, r.first) for r in registry.minutes.read(made.id, 100, 101)} == {
        (100, 0, 5),
        (100, 1, 5),
        (100, 0, 8),
    }


def test_completeness_only_goes_forward(registry: Registry) -> None:
    assert registry.minutes.complete("acme") is None
    for minute in (100, 120, 110):
        registry.minutes.tell([], [Complete("ledger-1", "acme", minute), Complete("x", "gone", minute)])
    assert registry.minutes.complete("acme") == 120
    assert registry.minutes.complete("gone") is None


def test_minutes_go_by_age_and_with_their_source(registry: Registry) -> None:
    made = source(registry)
    registry.minutes.tell([row(made.id, minute) for minute in (98, 99, 100)])
    assert registry.minutes.prune(100) == 2
    assert [found.minute for found in registry.minutes.read(made.id, 0, 1_000)] == [100]
    registry.sources.delete("acme", made.id, actor=SYSTEM)
    assert registry.minutes.read(made.id, 0, 1_000) == ()
    registry.minutes.tell([row(made.id)])  # told late: nobody asks for it any more
    assert registry.minutes.read(made.id, 0, 1_000) == ()


def test_a_telling_is_bounded(registry: Registry) -> None:
    with pytest.raises(ValueError, match="at most"):
        registry.minutes.tell([row("s")] * (MAX_ROWS + 1))


def test_the_last_event_is_the_newest_of_all_processes(registry: Registry, clock: ManualClock) -> None:
    made, never = source(registry), source(registry, "github", auth={"type": "github"})
    for process, at in (("a", 5_000), ("b", 9_000), ("c", None)):
        registry.tallies.flush(process, [{"source_id": made.id, "accepted": 1, "last_event_at_ms": at}])
    found = registry.minutes.last_events([made.id, never.id, "unknown"])
    assert {key: value.received_at_ms for key, value in found.items()} == {made.id: 9_000, never.id: None}
    assert found[made.id].created_at_ms == clock.time_ns() // 1_000_000
