"""Who owns a table writes it; whoever lost it without knowing is fenced; topics come and go (rules 19 to 21)."""

import signal
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import requests
from pyiceberg.catalog import Catalog

from tests.house.polling import free_port, wait_until
from tests.integration.sinks.test_exactly_once import writer
from tests.integration.sinks.world import World


def poster(world: World, done: threading.Event) -> tuple[threading.Thread, list[int]]:
    """Post 10 events every 20 ms until `done`; the list counts them."""
    posted = [0]

    def post() -> None:
        while not done.wait(0.02):
            world.events([{"n": posted[0] + n} for n in range(10)], first=posted[0])
            posted[0] += 10

    thread = threading.Thread(target=post)
    thread.start()
    return thread, posted


def freeze(process: "subprocess.Popen[bytes]", catalog: Path) -> None:
    """Stop a process between two transactions of its catalog: in one it holds SQLite's lock, and nobody gets by."""

    def stopped() -> bool:
        process.send_signal(signal.SIGSTOP)
        with closing(sqlite3.connect(catalog, timeout=0)) as database:
            try:
                database.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
                return False
            database.rollback()
        return True

    wait_until(stopped, 40, what="frozen without a lock")


def test_fences_a_member_that_was_frozen_longer_than_its_session(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    done = threading.Event()
    thread, posted = poster(world, done)
    try:
        with writer(world, stream, free_port()) as first, writer(world, stream, free_port()) as second:
            world.wait_rows(stream, 1, 40)
            for frozen in (first, second, first, second):  # whichever owns the table is frozen, and then comes back
                freeze(frozen, world.folder / "catalog.db")
                world.wait_rows(stream, posted[0] + 1, 40)
                frozen.send_signal(signal.SIGCONT)
                world.wait_rows(stream, posted[0] + 1, 40)
            done.set()
            thread.join()
            rows = world.wait_rows(stream, posted[0], 40)
            assert first.poll() is None
            assert second.poll() is None
    finally:
        done.set()
        thread.join()
    assert sorted(row["payload"]["n"] for row in rows) == list(range(posted[0]))


class Late:
    """A catalog whose answer to the second commit is lost, after a successor has committed on top of it."""

    def __init__(self, catalog: Catalog, successor: "threading.Event", over: "threading.Event") -> None:
        self._catalog, self._successor, self._over = catalog, successor, over
        self.commits = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._catalog, name)

    def commit_table(self, *args: object) -> object:
        self.commits += 1
        answer = self._catalog.commit_table(*args)  # type: ignore[arg-type]
        if self.commits == 2:
            self._successor.set()
            self._over.wait(60)
            raise requests.exceptions.ConnectionError("the answer was lost")
        return answer


def test_a_lost_answer_under_a_successors_commit_makes_no_duplicates(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    lost, over = threading.Event(), threading.Event()
    world.start(Late(world.catalog(), lost, over))  # type: ignore[arg-type]
    world.events([{"n": 0}])
    world.wait_rows(stream, 1)
    world.events([{"n": 1}], first=1)
    wait_until(lost.is_set, 20)
    world.events([{"n": 2}], first=2)
    other = World(world.kafka["bootstrap.servers"], world.folder)
    other.tenant, other.view = world.tenant + "x", world.view  # another group: both believe they own the table
    other.start()
    try:
        world.wait_rows(stream, 3)
    finally:
        other.stop()
        over.set()
    world.events([{"n": 3}], first=3)
    rows = world.wait_rows(stream, 4)
    assert sorted(row["payload"]["n"] for row in rows) == [0, 1, 2, 3]


def test_a_topic_recreated_under_a_running_tail_loses_and_doubles_nothing(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    world.start()
    world.events([{"n": n} for n in range(6)])
    world.wait_rows(stream, 6)
    world.admin.delete_topics([world.topic])[world.topic].result(10)
    wait_until(lambda: world.topic not in world.admin.list_topics(timeout=5).topics, 20)
    world.make_topic(world.topic)
    wait_until(lambda: world.topic in world.admin.list_topics(timeout=5).topics, 20)
    world.events([{"n": n} for n in range(6, 18)], first=6)  # further than the table stood in the old topic
    rows = world.wait_rows(stream, 18, 40)
    assert sorted(row["payload"]["n"] for row in rows) == list(range(18))
