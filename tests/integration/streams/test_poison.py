"""A record whose decision ends the interpreter stops nobody: three starts, then a child dies instead (rule 13)."""

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import EXIT_RESTART
from tests.integration.streams.stack import Read, Stage

_STARTED_S = 90
_STALL_S = 5


@pytest.fixture
def stage(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka_bootstrap, tmp_path)
    yield made
    made.close()


def deaths(stage: Stage, count: int, **more: Any) -> list[int]:
    """Start the worker `count` times and return how each ended."""
    return [stage.spawn(**more).wait(_STARTED_S) for _ in range(count)]


def by_offset(found: Read) -> Counter[int]:
    seen = Counter(event["position"]["offset"] for event in found.clean)
    seen.update(other.offset for record in found.ledger for other in record.others)
    return seen


def test_a_record_that_kills_the_process_is_quarantined_after_three_starts_and_the_others_land_once(
    stage: Stage,
) -> None:
    source = stage.add("shop")
    for number in range(5):
        stage.send("shop", source, {"id": str(number)})
    stage.send("shop", source, [{"id": "a"}, {"id": "b", "kill": "SIGSEGV"}])
    stage.send("shop", source, {"id": "3"})
    stage.send("shop", source, {"id": "5", "kill": "SIGKILL"})
    stage.send("shop", source, {"id": "6"})
    stage.send("shop", source, {"id": "elsewhere"}, partition=1)
    stage.flush()
    assert deaths(stage, 3) == [-signal.SIGSEGV] * 3
    assert stage.read(["shop"]).outcomes().get("quarantined") is None
    stage.start()
    found = stage.await_items(["shop"], 10)
    assert found.outcomes() == {"clean": 7, "duplicate": 1, "quarantined": 2}
    assert [(one.reason, one.position.offset) for one in found.quarantine] == [("poison_crash", 5), ("poison_crash", 7)]
    assert "SIGSEGV" in found.quarantine[0].message
    reasons = [(other.offset, other.reason) for record in found.ledger for other in record.others if other.reason]
    assert reasons == [(5, "poison_crash"), (7, "poison_crash")]
    assert set(by_offset(found).values()) == {1, 2}  # two at offset 0: one of each partition
    stage.send("shop", source, {"id": "7"})
    stage.flush()
    assert stage.await_items(["shop"], 11).outcomes()["clean"] == 8
    assert stage.stop() == 0


@pytest.mark.timeout(600)
def test_an_endless_decision_is_ended_from_outside_and_quarantined_after_three_starts(stage: Stage) -> None:
    source = stage.add("shop")
    stage.send("shop", source, {"id": "1"})
    stage.send("shop", source, {"id": "2", "loop": True})
    stage.send("shop", source, {"id": "3"})
    stage.flush()
    assert deaths(stage, 3, stage_stall_s=_STALL_S) == [EXIT_RESTART] * 3
    assert "the event loop has been blocked" in stage.log()
    stage.start(stage_stall_s=_STALL_S)
    found = stage.await_items(["shop"], 3, 300)
    assert found.outcomes() == {"clean": 2, "quarantined": 1}
    assert [(one.reason, one.position.offset) for one in found.quarantine] == [("poison_crash", 1)]
    assert "SIGXCPU" in found.quarantine[0].message
    assert stage.stop() == 0
