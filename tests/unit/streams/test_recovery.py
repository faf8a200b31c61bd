"""What is read before the group is joined, and when the changelog is written anew instead (rule 8)."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.errors import Transient
from streams import seen
from streams.engine.recovery import ensure_changelog, recover
from streams.engine.reseed import reseed
from streams.engine.table import FirstSeenTable, Stand, Writes, mark_key, pack_stand, position_key
from tests.unit.streams.made import TOPIC_ID
from tests.unit.streams.test_table import EVENT, state

RAW = (TOPIC_ID, 0)
KEY = seen.key("s", EVENT)
STAND = (position_key(RAW), pack_stand(Stand(5, 1)))
Entry = tuple[bytes, bytes | None]


class Changelog:
    """Two partitions; hands out one record at a time, then nothing."""

    def __init__(self, *partitions: list[Entry]) -> None:
        self.partitions = partitions
        self.config: dict[str, Any] = {}
        self.left: list[tuple[int, int, Entry]] = []
        self.began: dict[int, int] = {}
        self.closed = False

    def __call__(self, config: dict[str, Any]) -> "Changelog":
        self.config = config
        return self

    def assign(self, places: list[Any]) -> None:
        self.began = {place.partition: place.offset for place in places}
        self.left = [
            (number, at, entry)
            for number, entries in enumerate(self.partitions)
            for at, entry in enumerate(entries)
            if at >= self.began[number]
        ]

    def consume(self, _count: int, _timeout: float) -> list[Any]:
        if not self.left:
            return []
        number, at, (key, value) = self.left.pop(0)
        told = {"error": None, "key": key, "value": value, "partition": number, "offset": at}
        return [SimpleNamespace(**{name: (lambda found=found: found) for name, found in told.items()})]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def table(tmp_path: Path) -> Iterator[FirstSeenTable]:
    made = FirstSeenTable("seen", tmp_path)
    yield made
    made.close()


def mark(number: int) -> Entry:
    return mark_key(number), b"somebody's mark, which is longer"


def test_the_changelog_is_read_committed_up_to_the_own_marks_and_no_further(table: FirstSeenTable) -> None:
    log = Changelog([STAND, mark(0), (KEY, b"after the mark")], [(KEY, state(1).pack()), mark(1)])
    assert recover({}, table, "g", "id", {0: 1, 1: 1}, reader=log) == 5
    assert (log.config["isolation.level"], log.config["enable.auto.commit"], log.closed) == (
        "read_committed", False, True,
    )  # fmt: skip
    assert (table.stand(RAW), table.read(()).look(KEY)) == (Stand(5, 1), state(1))
    assert (table.marks(2), table.changelog_id()) == ({0: 3, 1: 2}, "id")


def test_it_is_not_over_before_the_mark_of_every_partition_is_met(table: FirstSeenTable) -> None:
    log = Changelog([mark(0)], [(KEY, state(1).pack())])
    seconds = iter(range(0, 10_000, 25))
    with pytest.raises(Transient, match="silent"):
        recover({}, table, "g", "id", {0: 0, 1: 1}, reader=log, monotonic=lambda: float(next(seconds)))
    assert log.closed


def begun(table: FirstSeenTable, topic_id: str, marks: Mapping[int, int]) -> None:
    """Leave a database behind that was made from the changelog `topic_id` up to `marks`."""
    table.open()
    table.set_changelog_id(topic_id)
    writes = Writes()
    writes.states[KEY], writes.stands[RAW] = state(7).pack(), Stand(9, 7)
    table.apply(writes, marks)
    table.close()


def test_a_disk_that_was_made_from_this_changelog_is_read_on_from_its_marks(table: FirstSeenTable) -> None:
    begun(table, "id", {0: 1, 1: 1})
    log = Changelog([STAND, mark(0)], [mark(1), mark(1)])
    assert recover({}, table, "g", "id", {0: 1, 1: 1}, reader=log) == 2
    assert log.began == {0: 1, 1: 1}
    assert (table.stand(RAW), table.read(()).look(KEY)) == (Stand(9, 7), state(7))


@pytest.mark.parametrize(("topic_id", "marks"), [("another", {0: 1}), ("id", {0: 99})], ids=["another", "ahead"])
def test_a_disk_that_was_not_is_thrown_away(table: FirstSeenTable, topic_id: str, marks: Mapping[int, int]) -> None:
    begun(table, topic_id, marks)
    log = Changelog([STAND, mark(0)], [mark(1)])
    recover({}, table, "g", "id", {0: 1, 1: 0}, reader=log)
    assert log.began == {0: 0, 1: 0}
    assert (table.stand(RAW), table.read(()).look(KEY)) == (Stand(5, 1), None)


class Transactions:
    """Takes a whole state; may die of it."""

    def __init__(self, *, dies: bool = False) -> None:
        self.dies, self.written = dies, list[tuple[bytes, bytes]]()

    def republish(self, entries: Iterable[tuple[bytes, bytes]]) -> dict[int, int]:
        self.written = list(entries)
        if self.dies:
            raise ConnectionError
        return {0: 50, 1: 60}


@pytest.mark.parametrize(
    ("topic_id", "marks"), [("another", {0: 1}), ("id", {0: 99})], ids=["another", "its tail is gone"]
)
def test_a_changelog_that_lost_what_was_committed_is_written_anew_from_the_disk(
    table: FirstSeenTable, topic_id: str, marks: Mapping[int, int]
) -> None:
    begun(table, topic_id, marks)
    made: Any = Transactions()
    assert reseed(table, made, "g", "id", {0: 3, 1: 3}) == {0: 50, 1: 60}
    assert made.written == [(position_key(RAW), pack_stand(Stand(9, 7))), (KEY, state(7).pack())]
    table.open()
    assert (table.changelog_id(), table.marks(2)) == ("id", {})


def test_writing_it_anew_is_done_again_when_it_was_ended_half_way(table: FirstSeenTable) -> None:
    begun(table, "another", {0: 1})
    dying: Any = Transactions(dies=True)
    with pytest.raises(ConnectionError):
        reseed(table, dying, "g", "id", {0: 3, 1: 3})
    made: Any = Transactions()
    reseed(table, made, "g", "id", {0: 4, 1: 4})
    assert len(made.written) == 2


def test_a_changelog_that_holds_everything_is_left_alone(table: FirstSeenTable) -> None:
    begun(table, "id", {0: 3, 1: 3})
    made: Any = Transactions()
    ends = {0: 3, 1: 9}
    assert reseed(table, made, "g", "id", ends) is ends
    assert made.written == []


def test_a_changelog_is_compacted_and_never_deleted_by_time() -> None:
    asked = list[Any]()

    def create(topics: list[Any], **_options: Any) -> dict[str, Any]:
        asked.extend(topics)
        return {topic.topic: SimpleNamespace(result=lambda _timeout: None) for topic in topics}

    admin: Any = SimpleNamespace(create_topics=create)
    ensure_changelog(admin, "g", replication=3, min_insync=2)
    (topic,) = asked
    assert topic.config == {"cleanup.policy": "compact", "min.insync.replicas": "2", "retention.ms": "-1"}
