"""Every committed event is exactly one row, whatever dies in between (rules 17-21)."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests
from confluent_kafka import TopicPartition
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException

from schemas.definitions.stream import State
from schemas.definitions.view import StreamView
from tests.house.polling import free_port, wait_until
from tests.integration.sinks.world import World

REPOSITORY = Path(__file__).parents[3]


@contextmanager
def writer(world: World, stream: StreamView, instance: int, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the writers in a process of their own; killed with SIGKILL at the end."""
    told = {
        "bootstrap": world.kafka["bootstrap.servers"],
        "folder": str(world.folder),
        "tenant": world.tenant,
        "streamId": stream.id,
        "definition": stream.definition.model_dump(by_alias=True, mode="json"),
        "instance": instance,
        **more,
    }
    command = [sys.executable, "-m", "tests.integration.sinks.writer_process", json.dumps(told)]
    with subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def test_holds_one_row_an_event_through_kills(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    instance = free_port()
    done = threading.Event()
    produced = 0

    def post() -> None:
        nonlocal produced
        while not done.wait(0.02):
            world.events([{"n": produced + n} for n in range(20)], first=produced)
            produced += 20

    thread = threading.Thread(target=post)
    thread.start()
    try:
        for _round in range(4):
            before = len(world.rows(stream))
            with writer(world, stream, instance):
                world.wait_rows(stream, before + 1)
    finally:
        done.set()
        thread.join()
    with writer(world, stream, instance):
        rows = world.wait_rows(stream, produced)
    assert sorted(row["payload"]["n"] for row in rows) == list(range(produced))
    assert len({row["event_id"] for row in rows}) == produced


class Faulty:
    """A catalog whose commits fail as told: `before` or `after` the real commit, or refused."""

    def __init__(self, catalog: Catalog, faults: list[tuple[str, Exception]]) -> None:
        self._catalog, self._faults = catalog, faults
        self.hit = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def commit_table(self, *args: Any) -> Any:
        if not self._faults:
            return self._catalog.commit_table(*args)
        when, error = self._faults.pop(0)
        self.hit += 1
        if when == "after":
            self._catalog.commit_table(*args)
        raise error


def test_lost_answers_make_no_duplicates(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    faults: list[tuple[str, Exception]] = [
        ("after", requests.exceptions.ConnectionError("the answer was lost")),
        ("before", requests.exceptions.ReadTimeout("nothing happened")),
        ("before", CommitFailedException("somebody was faster")),
        ("after", CommitFailedException("a retry inside met its own commit")),
    ]
    catalog = Faulty(world.catalog(), faults)
    world.start(catalog)  # type: ignore[arg-type]
    for n in range(5):
        world.events([{"n": n}], first=n)
        world.wait_rows(stream, n + 1)
    assert catalog.hit == 4
    assert sorted(row["payload"]["n"] for row in world.rows(stream)) == [0, 1, 2, 3, 4]


def test_fences_a_writer_that_lost_its_table(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    world.start()
    world.events([{"n": 0}])
    world.wait_rows(stream, 1)
    other = World(world.kafka["bootstrap.servers"], world.folder)
    other.tenant, other.view = world.tenant + "x", world.view  # another group: both believe they own the table
    other.start()
    try:
        wait_until(lambda: stream.id in other.states.by_id, 20)
        for n in range(1, 15):
            world.events([{"n": n}], first=n)
            world.wait_rows(stream, n + 1)
    finally:
        other.stop()
    assert sorted(row["payload"]["n"] for row in world.rows(stream)) == list(range(15))


def test_says_which_records_the_log_has_lost_and_goes_on_when_told(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    world.start()
    world.events([{"n": 0}, {"n": 1}])
    world.wait_rows(stream, 2)
    world.put(replace(stream, desired="stopped"))
    world.wait_state(stream, State.STOPPED)
    world.events([{"n": n} for n in range(2, 12)], first=2)
    world.admin.delete_records([TopicPartition(world.topic, 0, 5)])
    wait_until(lambda: world.admin.list_topics(timeout=5))
    world.put(replace(stream, generation=2))
    state = world.wait_state(stream, State.FAILED)
    assert state.reason == "offsets_expired"
    assert "acceptLoss" in (state.message or "")
    world.put(replace(stream, generation=3, accept_loss=True))
    rows = world.wait_rows(stream, 3)
    assert len({row["event_id"] for row in rows}) == len(rows)
    table = world.catalog().load_table((world.tenant, "orders"))
    gaps = [s.summary.additional_properties.get(f"hookberg.lost.{stream.id}") for s in table.snapshots() if s.summary]
    assert any(gaps)


def test_takes_a_recreated_topic_for_a_new_one(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    world.start()
    world.events([{"n": 0}, {"n": 1}])
    world.wait_rows(stream, 2)
    world.put(replace(stream, desired="stopped"))
    world.wait_state(stream, State.STOPPED)
    world.admin.delete_topics([world.topic])[world.topic].result(10)
    wait_until(lambda: world.topic not in world.admin.list_topics(timeout=5).topics, 20)
    world.make_topic(world.topic)
    wait_until(lambda: world.topic in world.admin.list_topics(timeout=5).topics, 20)
    world.events([{"n": 2}, {"n": 3}], first=2)
    world.put(replace(stream, generation=2))
    rows = world.wait_rows(stream, 4)
    assert sorted(row["payload"]["n"] for row in rows) == [0, 1, 2, 3]


def test_resolves_latest_once(world: World) -> None:
    world.make_topic(world.topic)
    world.events([{"n": 0}])
    stream = world.stream(startFrom="latest")
    world.start()
    world.wait_state(stream, State.RUNNING)
    world.stop()
    world.events([{"n": 1}], first=1)
    world.start()
    world.wait_rows(stream, 1)
    assert [row["payload"]["n"] for row in world.rows(stream)] == [1]
