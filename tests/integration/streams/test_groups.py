"""Topics stay with their group: two groups on one broker, and one that is added moves nothing (rules 9 and 11)."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.wire import ledger as ledger_wire
from tests.integration.streams.stack import Stage, read_to_end


@pytest.fixture
def stage(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka_bootstrap, tmp_path, groups=2)
    ledger = {"name": f"{made.tenant}.ledger", "topic_id": "", "tenant": made.tenant, "kind": "ledger", "platform": "",
              "partitions": 2, "group": "", "paused": False, "span": 1}  # fmt: skip
    made.registry["topics"].append(ledger)
    yield made
    made.close()


def ledger_partitions(stage: Stage, platform: str) -> set[int]:
    """Return the partitions of the ledger topic that hold what a platform's group wrote."""
    return {
        message.partition() or 0
        for message in read_to_end(stage.bootstrap, [f"{stage.tenant}.ledger"], stage.partitions)
        if ledger_wire.decode(message.value() or b"").topic.endswith(f".{platform}")
    }


def test_each_group_consumes_its_own_topics_and_a_group_that_is_added_moves_nothing(stage: Stage) -> None:
    even = random.SystemRandom().randrange(10**6, 10**9) * 2
    first, second = str(even), str(even + 1)
    old = stage.add("old", group=first)
    stage.send("old", old, {"id": "1"})
    stage.flush()
    one = stage.start(name="one", group=first)
    stage.await_items(["old"], 1)
    assignments = stage.log().count("positions_taken")
    new = stage.add("new", group=second, slot=1)
    two = stage.start(name="two", group=second)
    for number in range(20):
        stage.send("old", old, {"id": str(number)}, partition=number % 2)
        stage.send("new", new, {"id": str(number)}, partition=number % 2)
    stage.flush()
    found = stage.await_items(["old", "new"], 41)
    assert found.outcomes() == {"clean": 40, "duplicate": 1}
    assert {(record.topic.rpartition(".")[2], record.group) for record in found.ledger} == {
        ("old", first), ("new", second),
    }  # fmt: skip
    assert ledger_partitions(stage, "old") == {0}
    assert ledger_partitions(stage, "new") == {1}
    assert stage.log().count("positions_taken") == assignments + 1  # the new group's own; the old one saw nothing
    two.kill()
    two.wait()
    stage.process = one
    stage.send("old", old, {"id": "after"})
    stage.flush()
    stage.await_items(["old"], 22)
    assert one.poll() is None
