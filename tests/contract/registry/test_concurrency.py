"""Races: names, versions, revisions. Threads of one registry and of two (two processes share no lock of ours)."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.errors import Refused
from schemas.reasons import Reason
from tests.contract.registry.conftest import KEY
from tests.contract.registry.make import source, source_definition, stream, stream_definition
from tests.fakes.clock import ManualClock

ROUNDS = 8


@pytest.fixture
def second(url: str, registry: Registry, clock: ManualClock) -> Iterator[Registry]:
    made = Registry(url, vault=Vault(KEY), clock=clock, groups=2)
    assert made.revision() == registry.revision()
    yield made
    made.close()


def race(*calls: Callable[[], object]) -> list[Reason | None]:
    """Run the calls at one moment; the reason each was refused with, None = it went through."""
    gate = threading.Barrier(len(calls))

    def one(call: Callable[[], object]) -> Reason | None:
        gate.wait(10)
        try:
            call()
        except Refused as exc:
            return exc.reason
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def test_of_two_that_take_one_name_exactly_one_wins(registry: Registry, second: Registry) -> None:
    for number in range(ROUNDS):
        name = f"n{number}"
        told = race(lambda n=name: source(registry, name=n), lambda n=name: source(second, name=n))  # type: ignore[misc]
        assert sorted(told, key=str) == [None, Reason.NAME_TAKEN]


def test_of_two_that_take_one_table_exactly_one_wins(registry: Registry, second: Registry) -> None:
    for number in range(ROUNDS):
        told = race(
            lambda n=number: stream(registry, f"a{n}", f"t{n}"),  # type: ignore[misc]
            lambda n=number: stream(second, f"b{n}", f"t{n}"),  # type: ignore[misc]
        )
        assert sorted(told, key=str) == [None, Reason.TABLE_TAKEN]


def test_of_two_updates_of_one_version_exactly_one_wins(registry: Registry, second: Registry) -> None:
    made = source(registry)
    for version in range(1, ROUNDS + 1):
        calls = [
            lambda r=r, v=version, i=i: r.sources.update(
                "acme", made.id, source_definition(description=f"{v} {i}"), if_match=v, actor=SYSTEM
            )
            for i, r in enumerate((registry, second))
        ]
        assert sorted(race(*calls), key=str) == [None, Reason.PRECONDITION_FAILED]


def test_a_poller_sees_every_revision_in_order_and_none_is_missing(registry: Registry, second: Registry) -> None:
    start = registry.revision()
    done = threading.Event()
    seen: list[int] = []

    def write(who: int) -> None:
        for number in range(15):
            try:
                stream((registry, second)[who % 2], f"w{who % 3}-{number}")  # some are refused: those leave no gap
            except Refused as exc:
                assert exc.reason is Reason.NAME_TAKEN  # noqa: PT017 the race's loser

    def poll() -> None:
        last = start
        while True:
            over = done.is_set()
            found = [change.revision for change in registry.changes.page(last, 7)]
            seen.extend(found)
            last = found[-1] if found else last
            if over and not found:
                return

    with ThreadPoolExecutor(5) as pool:
        poller = pool.submit(poll)
        for writer in [pool.submit(write, who) for who in range(4)]:
            writer.result(60)
        done.set()
        poller.result(60)
    assert seen == list(range(start + 1, registry.revision() + 1))
    assert len(seen) == 45


def test_a_snapshot_is_of_one_moment(registry: Registry, second: Registry) -> None:
    """Each write makes a stream and a source's version together with its revision: a snapshot has all or none."""
    base, made = registry.revision(), 20
    stop = threading.Event()

    def write() -> None:
        for number in range(made):
            second.streams.create("acme", stream_definition(f"m{number}"), actor=SYSTEM)
        stop.set()

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        while True:
            over = stop.is_set()
            snapshot = registry.load()
            assert len(snapshot.streams) == snapshot.revision - base
            if over:
                break
        writer.result(60)
    assert len(snapshot.streams) == made
