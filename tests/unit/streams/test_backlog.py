"""What waits in raw topics: which partitions Kafka is asked about, and what its answers mean (streams/backlog.py)."""

from collections.abc import Mapping

import pytest

from schemas.overload import Backlog
from streams.backlog import MOST_ASKED, QUIET_ASKED, STALE_S, Backlogs, Place, Standing

A, B = ("t", 0), ("t", 1)
NOW_MS = 1_700_000_000_000


class Kafka:
    """Logs of timed records; answers as the broker does. `away`: it does not."""

    def __init__(self) -> None:
        self.logs: dict[Place, list[int]] = {}
        self.first: dict[Place, int] = {}
        self.away = False
        self.asked: list[str] = []


class Group:
    """One group that looks, and what it stands at; fetches tell ends while `fetches` is true."""

    def __init__(self, *places: Place) -> None:
        self.kafka, self.backlogs, self.now_s = Kafka(), Backlogs(), 0.0
        self.stands: dict[Place, tuple[int, int]] = dict.fromkeys(places, (0, 0))
        self.kafka.logs = {place: [] for place in places}
        self.fetches = True
        self.rates: dict[str, float | None] = {}

    @property
    def now_ms(self) -> int:
        return NOW_MS + int(self.now_s * 1000)

    def come(self, place: Place, count: int = 1) -> None:
        self.kafka.logs[place] += [self.now_ms] * count

    def decide(self, place: Place, count: int) -> None:
        position = self.stands[place][0] + count
        self.stands[place] = position, self.kafka.logs[place][position - 1]

    def look(self, after_s: float = 1.0) -> dict[str, Backlog]:
        self.now_s += after_s
        kafka, backlogs = self.kafka, self.backlogs
        told = {place: len(log) for place, log in kafka.logs.items()}
        standing = {place: Standing(*at, told[place] if self.fetches else None) for place, at in self.stands.items()}
        asked = backlogs.ends(standing)
        ages = backlogs.ages(self.now_s, standing, {} if kafka.away else {place: told[place] for place in asked})
        younger = {} if kafka.away else {place: self.younger(place, at_ms) for place, at_ms in ages.items()}
        expired = backlogs.expired(standing, younger)
        firsts: Mapping[Place, int] = {} if kafka.away else {place: kafka.first.get(place, 0) for place in expired}
        kafka.asked = [*(f"end {place[1]}" for place in asked), *(f"age {place[1]}" for place in ages)]
        found = {}
        for topic, backlog, rate in backlogs.topics(
            self.now_ms, self.now_s, standing, younger, firsts, {"t": 10.0}, 99
        ):
            found[topic], self.rates[topic] = backlog, rate
        return found

    def younger(self, place: Place, at_ms: int) -> tuple[int, int]:
        log, first = self.kafka.logs[place], self.kafka.first.get(place, 0)
        return next(((n, at) for n, at in enumerate(log) if n >= first and at > at_ms), (-1, -1))


def test_nothing_waits_in_a_log_that_is_decided_to_its_end() -> None:
    group = Group(A, B)
    group.come(A, 5)
    group.decide(A, 5)
    assert group.look() == {"t": Backlog(0, 0.0, 0)}
    assert group.kafka.asked == ["end 0", "end 1"], "whether what fetches say is so, a few at a time"


def test_the_oldest_record_that_waits_is_as_old_as_the_broker_says() -> None:
    group = Group(A, B)
    group.come(A, 3)
    group.decide(A, 3)
    group.now_s += 3_600  # a quiet hour
    group.come(A, 2)
    group.now_s += 20
    group.come(B, 4)
    assert group.look() == {"t": Backlog(6, 21.0, 60)}
    group.decide(A, 2)
    assert group.look() == {"t": Backlog(4, 2.0, 40)}


def test_what_was_decided_in_the_same_moment_as_the_next_one_does_not_hide_its_age() -> None:
    group = Group(A)
    group.come(A, 10)
    group.decide(A, 4)  # all of one producer's batch have one time
    group.now_s += 50
    group.come(A)
    assert group.look() == {"t": Backlog(7, 51.0, 70)}


def test_a_flowing_partition_is_asked_nothing_but_whether_fetches_tell_the_truth() -> None:
    group = Group(A)
    group.come(A)
    group.decide(A, 1)
    group.look()
    for _ in range(5):
        group.come(A, 100)
        backlog = group.look(0.9)["t"]
        assert backlog.events == 100
        assert backlog.age_s == pytest.approx(0.9, abs=0.01)
        assert group.kafka.asked == ["end 0"], "in its turn, as one where nothing waits"
        group.decide(A, 100)


def test_while_fetches_tell_nothing_kafka_is_asked_and_a_paused_topic_shows_what_waits() -> None:
    group = Group(A)
    group.look()
    group.fetches = False
    group.come(A, 7)
    assert group.look() == {"t": Backlog(7, 1.0, 70)}
    assert group.look(30) == {"t": Backlog(7, 31.0, 70)}


def test_records_that_expired_before_they_were_decided_do_not_wait() -> None:
    group = Group(A)
    group.come(A, 5)
    group.decide(A, 1)
    group.now_s += 100
    group.come(A, 3)
    group.kafka.first[A] = 5
    assert group.look() == {"t": Backlog(3, 1.0, 30)}


def test_what_kafka_does_not_tell_is_not_known_and_never_calm() -> None:
    group = Group(A)
    group.come(A, 500)
    group.kafka.away, group.fetches = True, False
    assert group.look() == {}, "nothing was ever told"
    group.kafka.away = False
    assert group.look()["t"].events == 500
    group.kafka.away = True
    assert group.look(STALE_S - 1)["t"] == Backlog(500, STALE_S + 1, 5000)
    assert group.look() == {}, "an old end proves nothing: the log may have grown meanwhile"


def test_ages_that_kafka_does_not_tell_stay_as_they_were_known() -> None:
    group = Group(A)
    group.come(A, 10)
    group.look()
    group.come(A, 10)
    group.decide(A, 5)
    group.kafka.away = True
    assert group.look()["t"] == Backlog(15, 2.0, 150), "what waits is no younger than it was"


def test_a_log_that_was_cut_begins_anew() -> None:
    group = Group(A)
    group.come(A, 10)
    group.decide(A, 10)
    group.look()
    group.kafka.logs[A] = group.kafka.logs[A][:2]
    group.stands[A] = 2, group.kafka.logs[A][1]
    group.come(A, 3)
    assert group.look() == {"t": Backlog(3, 1.0, 30)}


def test_the_rate_is_of_the_last_half_minute_and_not_told_before_it_is_known() -> None:
    group = Group(A)
    group.come(A, 10_000)
    group.look()
    rates = []
    for second in range(60):
        group.decide(A, 10 if second < 30 else 100)
        group.look()
        rates.append(group.rates["t"])
    assert rates[:4] == [None] * 4
    assert rates[20] == pytest.approx(10)
    assert rates[-1] == pytest.approx(100, rel=0.1)


def test_many_partitions_are_asked_about_in_turn_and_never_more_than_the_bound() -> None:
    places = [("t", number) for number in range(2 * MOST_ASKED)]
    group = Group(*places)
    for place in places:
        group.come(place)
    seen: set[str] = set()
    for _ in range(4):
        group.look()
        assert len(group.kafka.asked) <= 2 * MOST_ASKED
        seen.update(group.kafka.asked)
    assert len({one for one in seen if one.startswith("end")}) == len(places)
    quiet = Group(*places)
    quiet.look()
    assert len(quiet.kafka.asked) == QUIET_ASKED


def test_a_topic_that_is_not_followed_any_more_is_forgotten() -> None:
    group = Group(A, ("u", 0))
    assert set(group.look()) == {"t", "u"}
    del group.stands["u", 0]
    assert set(group.look()) == {"t"}
