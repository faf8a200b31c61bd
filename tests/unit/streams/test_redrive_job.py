"""The redrive job over ports in memory: what it waits for, how fast it writes, what it tells of the rest."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from schemas.definitions.job import REDRIVE, Job, JobState
from schemas.definitions.view import Snapshot, TopicView
from schemas.errors import Transient
from schemas.wire import raw
from schemas.wire.position import Position
from schemas.wire.quarantine import OpenRow
from schemas.wire.raw import Redrive
from streams.jobs.redrive import CATCH_UP_S, MAX_TOLD, RATE_PER_S, SETTLE_S, Redriver
from tests.unit.streams.made import TOPIC_ID, headers, snapshot, source


class Message:
    """A raw record as the client shows it."""

    def __init__(self, made: tuple[tuple[str, bytes], ...]) -> None:
        self._headers = made

    def headers(self) -> Any:
        return list(self._headers)

    def value(self) -> bytes:
        return b"[1, 2]"


class Ports:
    """Kafka, the table and the registry; time passes only while somebody sleeps."""

    revision = 1

    def __init__(self, rows: int = 1) -> None:
        self.ids = {"acme.webhook.shop": TOPIC_ID, "acme.quarantine.shop": "Q"}
        self.now, self.lacks, self.found = 0.0, 0, rows
        self.made: dict[int, tuple[tuple[str, bytes], ...] | None] = {}
        self.too_large: set[int] = set()
        self.written: list[Redrive] = []
        self.marks: list[Any] = []
        self.told: list[Mapping[str, Any] | None] = []
        self.view = source()
        self.deliveries: dict[int, str] = {}

    def ends(self, names: list[str]) -> dict[tuple[str, int], int]:
        return {(name, 0): 9 for name in names}

    def waiting(self, _held: Any, _ends: Any) -> int:
        return self.lacks

    def held(self, _tenant: str) -> dict[tuple[str, int], int]:
        return {}

    def rows(self, _tenant: str, _query: Mapping[str, Any], _alive: Callable[[], None]) -> list[OpenRow]:
        return [
            OpenRow(Position(TOPIC_ID, 1, n, 0), f"e{n}", "source-1", "r", 1, None, self.deliveries.get(n, ""))
            for n in range(self.found)
        ]

    def original(self, _name: str, _partition: int, offset: int) -> Any:
        made = self.made.get(offset, headers())
        return None if made is None else Message(made)

    def write(self, _name: str, _message: Any, made: Any, mark: Any) -> None:
        found = raw.decode(made).redrive
        assert found is not None
        self.written.append(found)
        if found.offset in self.too_large:
            self.marks.append(mark)

    def flush(self) -> list[Any]:
        marks, self.marks = self.marks, []
        return marks

    def close(self) -> None:
        """Nothing is open."""

    def current(self) -> Snapshot:
        topics = {
            name: TopicView(name, topic_id, "acme", name.split(".")[1], "shop", 4, "g", paused=False)
            for name, topic_id in self.ids.items()
        }
        return Snapshot(self.revision, frozenset({"acme"}), snapshot(self.view).sources, {}, {}, {}, {}, topics, {})

    async def refresh(self) -> Snapshot:
        return self.current()

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def run(self, so_far: dict[str, Any] | None = None, portion: int = 100, **arguments: Any) -> Mapping[str, Any]:
        job = Job("job", "acme", REDRIVE, {"limit": 10**6} | arguments, JobState.RUNNING, 0, so_far, 0, 0, 1)
        made = Redriver(
            self, self, lambda _names: self,  # type: ignore[arg-type, return-value]
            monotonic=lambda: self.now, sleep=self.sleep, portion=portion,
        )  # fmt: skip
        return made(job, lambda _share, told=None: self.told.append(told))


def test_it_waits_for_the_table_a_minute_and_then_says_what_it_lacks() -> None:
    ports = Ports()
    ports.lacks = 3
    assert ports.run()["notInTable"] == 3
    assert CATCH_UP_S < ports.now < CATCH_UP_S + 5
    assert len(ports.told) > CATCH_UP_S * 0.9, "its lease is kept alive meanwhile"


def test_it_begins_with_the_definitions_of_the_moment_it_was_asked_at() -> None:
    ports, seen = Ports(1), []
    slept, wrote = ports.sleep, ports.write

    def sleep(seconds: float) -> None:
        slept(seconds)
        ports.revision += 1

    def write(*record: Any) -> None:
        seen.append((ports.revision, ports.now))
        wrote(*record)

    ports.sleep, ports.write = sleep, write  # type: ignore[method-assign, assignment]
    assert ports.run(revision=4)["records"] == 1
    assert [(revision >= 4, now >= SETTLE_S) for revision, now in seen] == [(True, True)]
    with pytest.raises(Transient, match="definitions"):
        Ports(1).run(revision=4)


def test_it_writes_no_faster_than_its_rate() -> None:
    ports = Ports(2_500)
    assert ports.run()["records"] == 2_500
    assert ports.now == pytest.approx(2_500 / RATE_PER_S)


def test_what_cannot_be_redriven_is_counted_and_told_with_the_reason() -> None:
    ports = Ports(6)
    ports.made[1] = None
    ports.made[2] = (("hb-version", b"9"),)
    ports.made[3] = headers(source_id="gone")
    ports.made[4] = headers(redrive=Redrive("t", 0, 0, "job", (0,)))
    ports.too_large.add(5)
    result = ports.run()
    assert {name: result[name] for name in ("matching", "redriven", "gone", "skipped", "unreadable", "records")} == {
        "matching": 6, "redriven": 1, "gone": 1, "skipped": 3, "unreadable": 1, "records": 1,
    }  # fmt: skip
    told = {row["position"]["offset"]: (row["outcome"], row["why"]) for row in result["left"]}
    assert {offset: outcome for offset, (outcome, _) in told.items()} == {
        1: "gone", 2: "unreadable", 3: "skipped", 4: "skipped", 5: "skipped",
    }  # fmt: skip
    for offset, words in ((1, "retention"), (3, "does not exist"), (4, "this job"), (5, "too large")):
        assert words in told[offset][1]


def test_a_row_is_not_redriven_by_the_record_that_stands_in_its_place_since_the_log_was_cut() -> None:
    ports = Ports(2)
    ports.deliveries = {0: "delivery-1", 1: "delivery-of-before"}
    result = ports.run()
    assert [made.offset for made in ports.written] == [0]
    assert (result["redriven"], result["gone"]) == (1, 1)
    assert "another record" in result["left"][0]["why"]


def test_at_most_so_many_rows_are_named() -> None:
    ports = Ports(MAX_TOLD + 7)
    ports.made = dict.fromkeys(range(MAX_TOLD + 7))
    result = ports.run()
    assert (result["gone"], len(result["left"])) == (MAX_TOLD + 7, MAX_TOLD)


def test_who_takes_it_over_goes_on_behind_the_last_portion_that_was_stored() -> None:
    ports = Ports(10)
    ports.run(portion=3, limit=6)
    assert [made.offset for made in ports.written] == list(range(6))
    stored = next(told for told in ports.told if told is not None)
    assert stored["cursor"] == (TOPIC_ID, 1, 2)
    again = Ports(10)
    result = again.run(dict(stored), portion=3, limit=6)
    assert [made.offset for made in again.written] == [3, 4, 5], "the limit is that of the whole job"
    assert (result["matching"], result["redriven"]) == (6, 6)
    assert "cursor" not in result


def test_a_topic_made_anew_holds_none_of_the_rows() -> None:
    ports = Ports(2)
    ports.ids = {"acme.webhook.shop": "anew", "acme.quarantine.shop": "Q"}
    result = ports.run()
    assert (result["gone"], result["left"][0]["why"]) == (2, "the raw topic was deleted or made anew")


def test_a_broker_that_takes_nothing_fails_the_job_with_words_that_say_what_to_do() -> None:
    class Away(Ports):
        def flush(self) -> list[Any]:
            if len(self.written) > 2:
                raise Transient("Kafka did not take all records: redrive again")
            return super().flush()

    with pytest.raises(Transient, match=r"redrive again; 2 records are written"):
        Away(9).run(portion=2)
