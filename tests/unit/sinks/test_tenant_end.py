"""A tenant's deletion, killed after any call that it makes and taken over: every step is done, in order.

Registry and jobs are real (SQLite); Kafka, tables and the stage are stood in for. Deterministic: kills are numbered.
"""

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.backing.registry import SYSTEM, Registry, TopicRecord, Vault
from schemas.backing.registry.jobs import MAX_ATTEMPTS
from schemas.definitions.base import read
from schemas.definitions.job import DROP_TABLES, FORGET, Job, JobState
from schemas.definitions.source import SourceDefinition
from schemas.definitions.view import Snapshot
from sinks.jobs.tenants import drained
from sinks.jobs.tenants.deletion import GRACE_MS, STEPS
from sinks.jobs.tenants.desk import Desk
from sinks.jobs.tenants.world import World
from tests.fakes.clock import ManualClock

LEASE_S = 30.0
READS = {"wanted", "remains", "get", "describe"}
"""Calls that change nothing: to be killed after one is to be killed after the call before it."""


class Killed(BaseException):
    """The process ends here: nothing after it runs."""


class Mortal:
    """Passes calls on to `inner`, and kills after call number `at` of all that share `calls`."""

    def __init__(self, inner: Any, calls: "Iterator[int]", at: int) -> None:
        self._inner, self._calls, self._at = inner, calls, at

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = found(*args, **kwargs)
            if name not in READS and next(self._calls) == self._at:
                raise Killed(name)
            return answer

        return call


class Parts:
    """A registry with only what a deletion uses, each part mortal."""

    def __init__(self, registry: Registry, wrap: Callable[[Any], Any]) -> None:
        self.retired, self.jobs, self.states = wrap(registry.retired), wrap(registry.jobs), registry.states


class Kafka:
    """Topics by name; remembers what was deleted."""

    def __init__(self, names: Iterable[str]) -> None:
        self.left = set(names)

    def describe(self, names: Iterable[str]) -> dict[str, object]:
        return {name: object() for name in names if name in self.left}

    def delete(self, names: Iterable[str]) -> None:
        self.left -= set(names)


class View:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def current(self) -> Snapshot:
        return self._registry.load()


class House:
    """A tenant with everything, and whoever does the parts that others do."""

    def __init__(self, file: Path) -> None:
        self.clock = ManualClock()
        furnished = file.exists()
        self.registry = Registry(f"sqlite:///{file}", vault=Vault(bytes(32)), clock=self.clock, groups=2)
        if not furnished:
            self.registry.migrate()
            for tenant in ("goes", "stays"):
                self.registry.tenants.create(tenant, actor=SYSTEM)
                self._source(tenant)
        self.sources = {view.tenant: view.id for view in self.registry.load().sources.values()}
        self.kafka = Kafka(topic.name for topic in self.registry.topics.list())
        self.forgotten: list[dict[str, Any]] = []
        self.dropped: list[dict[str, Any]] = []

    def _source(self, tenant: str) -> None:
        definition = read(SourceDefinition, {"platform": "orders", "auth": {"type": "slack"}, "paused": True})
        create = self.registry.sources.create
        made = create(tenant, definition, partitioning="event", partitions=2, actor=SYSTEM)
        self.registry.sources.add_secret(tenant, made.id, b"a secret", actor=SYSTEM)
        for kind in ("webhook", "event", "quarantine"):
            name = f"{tenant}.{kind}.orders"
            topic = TopicRecord(name, f"id-{name}", tenant, kind, "orders", 2, "", kind == "webhook")
            self.registry.topics.put(topic, actor=SYSTEM)

    def world(self, wrap: Callable[[Any], Any] = lambda inner: inner) -> World:
        made: Any = World
        found: World = made(
            registry=Parts(self.registry, wrap), view=View(self.registry), topics=wrap(self.kafka), lags=None,
            admin=None, kafka={}, catalog=None, now_ms=lambda: self.clock.time_ns() // 1_000_000,
        )  # fmt: skip
        return found

    def others(self) -> None:
        """Do the parts of the stage and of the writers; only after the topics were let go of."""
        while (job := self.registry.jobs.claim([f"{FORGET}.0", f"{FORGET}.1", DROP_TABLES], "other", 60)) is not None:
            assert all(topic.tenant != "goes" for topic in self.registry.load().topics.values())
            if job.kind == DROP_TABLES:
                assert not any(name.startswith("goes.") for name in self.kafka.left)
            else:
                assert "goes.webhook.orders" in self.kafka.left, "state goes before the topics"
            (self.dropped if job.kind == DROP_TABLES else self.forgotten).append(job.arguments)
            assert self.registry.jobs.finish(job.id, "other", {"states": 1, "dropped": [], "left": []})

    def job(self, job_id: str) -> Job:
        return self.registry.jobs.get("goes", job_id)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    made = House(tmp_path / "registry.db")
    monkeypatch.setattr(drained, "undecided", lambda _world, _tenant: [])
    monkeypatch.setattr(drained, "unwritten", lambda _world, _tenant: [])
    yield made
    made.registry.close()


def lead(house: House, desk: Desk, rounds: int = 12) -> bool:
    """Let a process lead until nothing is left to lead; True when it ended by itself."""
    for _ in range(rounds):
        house.clock.advance(GRACE_MS / 1000)
        if not desk.round():
            return True
        house.others()
    return False


def begun(house: House, *, force: bool = False) -> str:
    return house.registry.retired.begin("goes", force=force, drop_tables=True, actor=SYSTEM).id


def over(house: House, job_id: str) -> None:
    found = house.job(job_id)
    assert (found.state, found.result["step"] if found.result else "") == (JobState.SUCCEEDED, "done"), found
    assert all(name.startswith("stays.") for name in house.kafka.left)
    assert len(house.kafka.left) == 3
    snapshot = house.registry.load()
    assert set(snapshot.sources) == {house.sources["stays"]}
    assert len(snapshot.topics) == 3
    assert {tuple(each["sources"]) for each in house.forgotten} == {(house.sources["goes"],)}
    assert {tuple(each["topicIds"]) for each in house.forgotten} == {("id-goes.webhook.orders",)}
    assert house.dropped


def test_killed_after_any_call_it_is_taken_over_and_done(tmp_path: Path, house: House) -> None:
    house.registry.close()
    steps = set()
    for at in itertools.count(1):
        copy = tmp_path / f"{at}.db"
        shutil.copy(tmp_path / "registry.db", copy)
        house, calls = House(copy), itertools.count(1)
        job_id = begun(house)

        def mortal(inner: Any, calls: Iterator[int] = calls, at: int = at) -> Mortal:
            return Mortal(inner, calls, at)

        try:
            ended = lead(house, Desk(house.world(mortal), "first", lease_s=LEASE_S))
        except Killed:
            ended = False
            steps.add((house.job(job_id).result or {"step": STEPS[0]})["step"])
            house.clock.advance(LEASE_S + 1)
            house.others()
            assert lead(house, Desk(house.world(), "second", lease_s=LEASE_S))
        over(house, job_id)
        house.registry.close()
        if ended:
            break
    assert steps >= set(STEPS), "every step was killed in at least once"
    assert at > 2 * len(STEPS)


def test_nothing_is_let_go_of_before_it_is_drained_and_what_it_waits_for_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = ["7 records of goes.webhook.orders wait for the stage"]
    monkeypatch.setattr(drained, "undecided", lambda _world, _tenant: list(waits))
    job_id, desk = begun(house), Desk(house.world(), "w", lease_s=LEASE_S)
    assert not lead(house, desk, rounds=3)
    found = house.job(job_id)
    assert found.result is not None
    assert (found.state, found.result["step"], found.result["waitingFor"]) == (JobState.RUNNING, "draining", waits)
    topics = house.registry.load().topics
    assert topics["goes.webhook.orders"].paused is False, "what waits behind a pause is decided"
    assert topics["stays.webhook.orders"].paused is True
    begun(house, force=True)  # asked again with force, the same deletion goes on
    assert lead(house, desk)
    over(house, job_id)
    assert house.job(job_id).result["forced"] is True  # type: ignore[index]


def test_what_goes_wrong_is_told_and_tried_again_and_holds_up_no_other(house: House) -> None:
    house.registry.tenants.create("third", actor=SYSTEM)
    job_id, failing = begun(house), True
    other = house.registry.retired.begin("third", force=False, drop_tables=False, actor=SYSTEM).id
    delete = house.kafka.delete

    def away(names: Iterable[str]) -> None:
        if failing:
            raise OSError("Kafka is away")
        delete(names)

    house.kafka.delete = away  # type: ignore[method-assign]
    desk = Desk(house.world(), "w", lease_s=LEASE_S)
    assert not lead(house, desk, rounds=6)
    told = house.job(job_id).result
    assert told is not None
    assert told["step"] == "topics"
    assert "OSError" in told["waitingFor"][0]
    assert house.registry.jobs.get("third", other).state is JobState.SUCCEEDED
    failing = False
    assert lead(house, desk)
    over(house, job_id)


def test_a_part_that_failed_is_asked_for_again(house: House) -> None:
    job_id, desk = begun(house), Desk(house.world(), "w", lease_s=LEASE_S)
    failed = []
    for _ in range(3):
        house.clock.advance(GRACE_MS / 1000)
        desk.round()
        if (part := house.registry.jobs.claim([f"{FORGET}.0", f"{FORGET}.1"], "stage", 60)) is not None:
            assert house.registry.jobs.finish(part.id, "stage", {"message": "ended"}, failed=True)
            failed.append(part.id)
    assert failed
    assert lead(house, desk)
    over(house, job_id)


def test_a_deletion_that_waits_over_many_restarts_is_not_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drained, "undecided", lambda _world, _tenant: ["records"])
    job_id = begun(house)
    for restart in range(MAX_ATTEMPTS + 1):
        desk = Desk(house.world(), f"w{restart}", lease_s=LEASE_S)
        assert not lead(house, desk, rounds=1)
        house.clock.advance(LEASE_S + 1)
    assert house.job(job_id).state is JobState.RUNNING
