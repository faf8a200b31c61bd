"""Workers that stop being alive without dying: frozen, beside a successor, standing still (rules 6, 8, 10)."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.errors import EXIT_RESTART
from tests.house.polling import wait_until
from tests.integration.streams.stack import Stage

SESSION_S = 6


@pytest.fixture
def stage(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka_bootstrap, tmp_path, stage_session_timeout_s=SESSION_S)
    yield made
    made.close()


def test_a_process_that_was_frozen_beyond_its_session_ends_itself(stage: Stage) -> None:
    source = stage.add("shop")
    stage.send("shop", source, {"id": "1"})
    stage.flush()
    frozen = stage.start()
    stage.await_items(["shop"], 1)
    frozen.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + SESSION_S + 2
    wait_until(lambda: time.monotonic() > deadline, 60)
    frozen.send_signal(signal.SIGCONT)
    assert frozen.wait(30) == EXIT_RESTART
    assert "longer than the group session" in stage.log()


def test_a_zombie_resumed_beside_its_successor_writes_nothing_more(stage: Stage) -> None:
    source = stage.add("shop")
    zombie = stage.start()
    for number in range(3_000):
        stage.send("shop", source, {"id": str(number % 2_000)}, partition=number % 2)
    stage.flush()
    wait_until(lambda: stage.read([]).ledger, 30, every_s=0.1, what="a first transaction")
    zombie.send_signal(signal.SIGSTOP)
    for number in range(500):
        stage.send("shop", source, {"id": f"later {number}"}, partition=number % 2)
    stage.flush()
    stage.start(name="successor", state_dir=str(stage.folder / "other"))
    stage.await_items(["shop"], 3_500, 60)
    zombie.send_signal(signal.SIGCONT)
    assert zombie.wait(60) == EXIT_RESTART
    found = stage.await_items(["shop"], 3_500)
    assert stage.stop() == 0
    assert found.outcomes() == {"clean": 2_500, "duplicate": 1_000}
    assert max(Counter(event["eventId"] for event in found.clean).values()) == 1


def test_a_worker_that_decides_nothing_while_records_wait_is_ended(stage: Stage) -> None:
    source = stage.add("shop")
    deaf = stage.start(deaf=True, stage_stall_s=5)
    assert deaf.poll() is None
    stage.send("shop", source, {"id": "1"})
    stage.flush()
    assert deaf.wait(120) == EXIT_RESTART
    assert "no progress for 5 s or more while records wait" in stage.log()
    stage.start()
    assert stage.await_items(["shop"], 1).outcomes() == {"clean": 1}
    assert stage.stop() == 0
