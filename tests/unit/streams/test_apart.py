"""A job in a process of its own: its result, its failures, its death, and a stage that goes on whatever it does."""

import os
from collections.abc import Mapping
from typing import Any

import pytest

from schemas.definitions.job import DRY_RUN, Job, JobState
from schemas.definitions.view import EMPTY, Snapshot
from schemas.errors import Refused, Transient
from schemas.reasons import Reason
from streams.jobs import apart, definitions
from streams.jobs.apart import Apart
from streams.jobs.runner import Beat, Stopped, Work
from tests.unit.streams import made


class View:
    """Shows one snapshot, after `late` looks."""

    def __init__(self, late: int = 0) -> None:
        self._late = late

    def current(self) -> Snapshot:
        self._late -= 1
        return EMPTY if self._late >= 0 else made.snapshot(made.source())

    async def refresh(self) -> Snapshot:
        return self.current()


def doing(snapshot: Snapshot, what: str) -> Work:
    """Make the work that the child does; importable by name."""

    def work(job: Job, beat: Beat) -> Mapping[str, Any]:
        beat(0.5)
        if what == "spin":
            while True:
                pass
        if what == "die":
            os._exit(3)
        if what == "eat":
            return {"eaten": len(bytearray(1 << 34))}
        if what == "fail":
            raise Refused(Reason.NOT_FOUND, "it is gone")
        return {"job": job.id, "pid": os.getpid(), "sources": sorted(snapshot.sources)}

    return work


def job(revision: int = 1) -> Job:
    return Job("j", "acme", DRY_RUN, {"revision": revision}, JobState.RUNNING, 0.0, None, 0, 0, 1)


def beat(share: float, so_far: Mapping[str, Any] | None = None) -> None:
    assert so_far is None
    assert 0.0 <= share <= 1.0


def test_it_is_done_in_another_process_with_the_tenants_definitions() -> None:
    result = Apart(View(), doing, "well")(job(), beat)
    assert (result["job"], result["sources"]) == ("j", ["source-1"])
    assert result["pid"] != os.getpid()


def test_it_waits_for_the_definitions_of_the_moment_it_was_asked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Apart(View(late=3), doing, "well")(job(), beat)["sources"] == ["source-1"]
    monkeypatch.setattr(definitions, "VIEW_S", 0.3)
    with pytest.raises(Transient, match="definitions"):
        Apart(View(), doing, "well")(job(revision=9), beat)


@pytest.mark.parametrize(
    ("what", "said"), [("fail", "it is gone"), ("die", "exit code 3"), ("eat", "out of memory"), ("spin", "endless")]
)
def test_however_it_ends_the_stage_goes_on_and_says_why(what: str, said: str) -> None:
    with pytest.raises(Transient, match=said):
        Apart(View(), doing, what, cpu_s=1)(job(), beat)


def test_a_drain_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "BEAT_S", 0.1)

    def stopped(share: float, so_far: Mapping[str, Any] | None = None) -> None:
        beat(share, so_far)
        raise Stopped

    with pytest.raises(Stopped):
        Apart(View(), doing, "spin", cpu_s=600)(job(), stopped)
