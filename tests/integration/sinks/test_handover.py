"""A table changes hands: stopped, frozen in the middle of a commit, or next to tables that hang (rules 20 and 21)."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition
from pyiceberg.catalog import Catalog

from sinks.source import Source, options
from sinks.table import snapshot
from tests.house.polling import free_port, wait_until
from tests.integration.sinks.test_exactly_once import writer
from tests.integration.sinks.test_ownership import poster
from tests.integration.sinks.world import World


def stopped(pid: int) -> bool:
    """Tell whether a process is stopped by a signal (proc(5): state T)."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def test_a_writer_frozen_in_the_middle_of_a_commit_writes_nothing(world: World) -> None:
    """Its session runs out, a successor goes on; then it wakes up, with its files written and its call not yet made."""
    world.make_topic(world.topic)
    stream = world.stream()
    world.events([{"n": n} for n in range(5)])
    with writer(world, stream, free_port(), freeze="freeze") as zombie:
        world.wait_rows(stream, 5, 120)
        (world.folder / "freeze").touch()
        world.events([{"n": n} for n in range(5, 10)], first=5)
        wait_until(lambda: stopped(zombie.pid), 60)
        held = world.unreferenced(stream)
        assert len(held) >= 3  # a data file, its manifest and its list
        with writer(world, stream, free_port()) as successor:
            world.wait_rows(stream, 10, 120)
            world.events([{"n": n} for n in range(10, 15)], first=10)
            world.wait_rows(stream, 15, 60)
            os.kill(zombie.pid, signal.SIGCONT)
            wait_until(lambda: not held & world.unreferenced(stream), 60)  # it has seen what happened, and cleaned up
            world.events([{"n": n} for n in range(15, 20)], first=15)
            rows = world.wait_rows(stream, 20, 60)
            assert zombie.poll() is None
            assert successor.poll() is None
    assert sorted(row["payload"]["n"] for row in rows) == list(range(20))


def test_stopped_writers_leave_nothing_that_no_snapshot_holds(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    done = threading.Event()
    thread, posted = poster(world, done)
    try:
        for _round in range(3):
            before = len(world.rows(stream))
            world.start()
            world.wait_rows(stream, before + 1, 60)
            world.stop()
            assert world.unreferenced(stream) == set()
    finally:
        done.set()
        thread.join()
    world.start()
    rows = world.wait_rows(stream, posted[0], 60)
    assert sorted(row["payload"]["n"] for row in rows) == list(range(posted[0]))
    held = world.catalog().load_table((world.tenant, "orders")).metadata.snapshots
    assert len(held) >= snapshot.EXPIRE_AT or world.unreferenced(stream) == set()


class Hanging:
    """A catalog that does not answer commits of some tables."""

    def __init__(self, catalog: Catalog, tables: set[str], over: threading.Event) -> None:
        self._catalog, self._tables, self._over = catalog, tables, over
        self.waiting: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def commit_table(self, table: Any, *args: Any) -> Any:
        if table.name()[1] in self._tables:
            self.waiting.add(table.name()[1])
            self._over.wait(120)
        return self._catalog.commit_table(table, *args)


def test_tables_that_hang_hold_up_no_other(world: World) -> None:
    """More of them than may build at a time."""
    world.make_topic(world.topic)
    names = {f"t{n}" for n in range(5)}
    streams = [world.stream(name) for name in sorted(names)]
    over = threading.Event()
    catalog = Hanging(world.catalog(), names, over)
    world.start(catalog)  # type: ignore[arg-type]
    try:
        world.events([{"n": 0}])
        wait_until(lambda: catalog.waiting == names, 60)
        other = world.stream("other")
        assert len(world.wait_rows(other, 1, 60)) == 1
        assert all(world.rows(stream) == [] for stream in streams)
    finally:
        over.set()
    for stream in streams:
        world.wait_rows(stream, 1, 60)


def test_the_end_of_a_partition_counts_its_markers(world: World) -> None:
    """A table that stands before a marker would be told, once retention has removed it, that it has lost records."""
    world.make_topic(world.topic)
    world.events([{"n": n} for n in range(4)])
    world.produce([b"aborted"] * 4, commit=False)
    source = Source(options(world.kafka, 1024), world.admin, [world.topic])
    try:
        topics = source.look()
        source.assign(topics, {(world.topic, 0): 0, (world.topic, 1): 0})
        read: list[Any] = []

        def ended() -> bool:
            read.extend(source.poll(0.2)[0])
            return len(source.at_end) == 2

        wait_until(ended, 30)
        ends = {p: source._consumer.get_watermark_offsets(TopicPartition(world.topic, p), 10)[1] for p in (0, 1)}
        assert len(read) == 4
        assert source.positions == {(world.topic, p): end for p, end in ends.items()}
        assert ends == {0: 6, 1: 6}  # 2 records and their marker, 2 aborted ones and theirs
    finally:
        source.close()
