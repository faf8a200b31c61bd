"""A running worker follows the registry: topics come, pause and resume, and nothing else is disturbed (rules 8, 11)."""

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.house.polling import wait_until
from tests.integration.streams.stack import Stage

STALL_S = 6


@pytest.fixture(scope="module")
def stage(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(kafka_bootstrap, tmp_path_factory.mktemp("following"), stage_stall_s=STALL_S)
    made.add("first")
    made.start()
    yield made
    try:
        assert made.stop() == 0
    finally:
        made.close()


def topic(stage: Stage, platform: str) -> Any:
    return next(row for row in stage.registry["topics"] if row["platform"] == platform)


def assignments(stage: Stage) -> int:
    return (stage.folder / "worker.log").read_text().count("positions_taken")


def passed(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > deadline, seconds + 60)


def test_pause_and_resume_need_no_rebalance_and_a_paused_backlog_is_no_standstill(stage: Stage) -> None:
    source = stage.add("held")
    stage.send("held", source, {"id": "0"})
    stage.flush()
    stage.await_items(["held"], 1)
    before = assignments(stage)
    topic(stage, "held")["paused"] = True
    stage.save()
    wait_until(lambda: "topics=['" in stage.log() and "topics_held" in stage.log(), 20, what="pause taken over")
    stage.send("held", source, {"id": "1"})
    stage.flush()
    passed(1.6 * STALL_S)  # "first" is idle, "held" has a backlog: neither ends the worker
    assert stage.process is not None
    assert stage.process.poll() is None, stage.log()
    assert len(stage.read(["held"]).clean) == 1
    topic(stage, "held")["paused"] = False
    stage.save()
    stage.await_items(["held"], 2)
    assert assignments(stage) == before


def test_a_worker_started_again_while_a_topic_is_paused_reads_nothing_of_it_until_it_is_resumed(stage: Stage) -> None:
    source, other = stage.add("kept"), stage.add("meanwhile")
    topic(stage, "kept")["paused"] = True
    stage.save()
    for number in range(5):
        stage.send("kept", source, {"id": str(number)})
    stage.flush()
    stage.kill()
    stage.start()
    stage.send("meanwhile", other, {"id": "1"})
    stage.flush()
    stage.await_items(["meanwhile"], 1)
    assert stage.read(["kept"]).ledger == []
    topic(stage, "kept")["paused"] = False
    stage.save()
    found = stage.await_items(["kept"], 5)
    assert [each["payload"]["id"] for each in found.clean] == [str(number) for number in range(5)], "in order, once"


def test_a_topic_that_is_added_does_not_keep_the_others_waiting(stage: Stage) -> None:
    busy = stage.add("busy")
    sent = 0

    def send_and_see(platform: str, items: int) -> bool:
        nonlocal sent
        stage.send("busy", busy, {"id": str(sent)})
        stage.flush()
        sent += 1
        return sum(record.items for record in stage.read([platform]).ledger) >= items

    wait_until(lambda: send_and_see("busy", 3), 30, every_s=0.2, what="the busy topic")
    added = stage.add("added")
    stage.send("added", added, {"id": "1"})
    wait_until(lambda: send_and_see("added", 1), 15, every_s=0.2, what="the added topic")
    found = stage.await_items(["busy"], sent)
    times = sorted(record.decided_at_us for record in found.ledger)
    assert max(later - earlier for earlier, later in pairwise(times)) < 10_000_000
    assert found.outcomes() == {"clean": sent}


def test_topics_that_come_one_after_another_under_load_never_end_the_worker(stage: Stage) -> None:
    steady = stage.add("steady")
    sent = 0
    for number in range(6):
        name = f"late{number}"
        source = stage.add(name)
        stage.send(name, source, {"id": "1"})
        deadline = time.monotonic() + 30
        while not any(record.items for record in stage.read([name]).ledger):
            assert time.monotonic() < deadline, stage.log()
            for _ in range(20):
                stage.send("steady", steady, {"id": str(sent)})
                sent += 1
            stage.flush()
    found = stage.await_items(["steady"], sent)
    assert found.outcomes() == {"clean": sent}
    assert "stage_ends" not in (stage.folder / "worker.log").read_text()
