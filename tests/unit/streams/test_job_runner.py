"""The runner of jobs: one at a time, kept alive by beats, given back on drain, failed with a text for people."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from schemas.definitions.job import Job, JobState
from schemas.errors import Refused, Transient
from schemas.reasons import Reason
from streams.jobs.runner import Beat, JobRunner, Work
from tests.house.polling import wait_until


class Queue:
    """One job in memory; `away` makes every call fail, `lost` gives the lease to somebody else."""

    def __init__(self, kind: str = "streams.k") -> None:
        self.job: Job | None = Job("j1", "acme", kind, {"n": 1}, JobState.QUEUED, 0.0, None, 0, 0, 1)
        self.away = self.lost = False
        self.beats: list[tuple[float, float]] = []
        self.so_far: Mapping[str, Any] = {}
        self.finished: list[tuple[dict[str, Any], bool]] = []

    def claim(self, kinds: Sequence[str], _owner: str, _lease_s: float) -> Job | None:
        self._here()
        job = self.job
        if job is None or job.kind not in kinds:
            return None
        self.job = None
        return job

    def progress(
        self, _job_id: str, _owner: str, share: float, lease_s: float, so_far: Mapping[str, Any] | None = None
    ) -> bool:
        self._here()
        self.so_far = so_far or self.so_far
        self.beats.append((share, lease_s))
        return not self.lost

    def finish(self, _job_id: str, _owner: str, result: Mapping[str, Any], *, failed: bool = False) -> bool:
        self._here()
        self.finished.append((dict(result), failed))
        return not self.lost

    def _here(self) -> None:
        if self.away:
            raise Refused(Reason.REGISTRY_AWAY)


def runner(queue: Queue, work: Work) -> JobRunner:
    return JobRunner(queue, {"streams.k": work}, "me", lease_s=9.0, poll_s=0.01)


def test_a_job_is_done_once_and_its_result_stored() -> None:
    queue = Queue()

    def work(job: Job, beat: Beat) -> dict[str, Any]:
        beat(0.5, {"got": 0})
        return {"got": job.arguments["n"]}

    assert runner(queue, work).run_one()
    assert queue.so_far == {"got": 0}
    assert not runner(queue, work).run_one()
    assert (queue.beats, queue.finished) == ([(0.5, 9.0)], [({"got": 1}, False)])


def test_only_its_own_kinds_are_claimed() -> None:
    assert not runner(Queue("sinks.k"), lambda _job, _beat: {}).run_one()


@pytest.mark.parametrize(
    ("error", "said"),
    [(Transient("Kafka is away: try again"), "Kafka is away: try again"),
     (KeyError("s3cret"), "KeyError: see the log of the stage")],
)  # fmt: skip
def test_a_failure_says_what_a_person_may_know(error: Exception, said: str) -> None:
    queue = Queue()

    def work(_job: Job, _beat: Beat) -> dict[str, Any]:
        raise error

    assert runner(queue, work).run_one()
    assert queue.finished == [({"message": said}, True)]


def test_a_job_whose_lease_went_to_another_ends_with_no_result() -> None:
    queue = Queue()
    queue.lost = True

    def work(_job: Job, beat: Beat) -> dict[str, Any]:
        beat(0.1)
        raise AssertionError("it went on")

    assert not runner(queue, work).run_one()
    assert queue.finished == []


def test_a_registry_that_is_away_ends_no_job_and_no_runner() -> None:
    queue = Queue()

    def work(_job: Job, beat: Beat) -> dict[str, Any]:
        queue.away = True
        beat(0.1)
        return {}

    made = runner(queue, work)
    assert made.run_one()
    assert not made.run_one()


def test_a_drain_gives_the_running_job_back_at_its_next_beat() -> None:
    queue, began = Queue(), list[str]()

    def work(job: Job, beat: Beat) -> dict[str, Any]:
        began.append(job.id)
        while True:
            beat(0.1)

    made = runner(queue, work)
    made.start()
    wait_until(lambda: bool(began), what="the job begins")
    assert made.stop()
    assert queue.finished == []
    assert queue.beats[-1] == (0.0, 0.0), "the lease ends now: another process need not wait for it"
