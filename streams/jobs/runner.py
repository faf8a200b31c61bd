"""The jobs of a stage process: one at a time, in a thread of its own, claimed with a lease that is kept alive.

Lives here: claim, heartbeat, result or failure, stop on drain. Not here: what a job does (one file a kind beside this
one) and the queue (ports.JobQueue, schemas/backing/registry/jobs.py).
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from schemas import logs
from schemas.definitions.job import Job
from schemas.errors import HookbergError
from schemas.ports import JobQueue

LEASE_S = 60.0
POLL_S = 1.0
MAX_MESSAGE = 500
_log = logs.logger(__name__)


class Stopped(Exception):
    """This process drains, or the lease went to another: the job ends here with no result of ours."""


class Beat(Protocol):
    """What a job calls at least every 20 s, and before anything that must not be done twice."""

    def __call__(self, share: float, so_far: Mapping[str, Any] | None = None) -> None:
        """Store the share done (0..1) and renew the lease; raises `Stopped`.

        `so_far` is kept as the job's result until it is done: whoever takes the job over finds it there.
        """


Work = Callable[[Job, Beat], Mapping[str, Any]]
"""Does one job and returns its result; blocks. `HookbergError` = failed with that text; `Stopped` is let through.

It must bear being done again from the beginning, for a process may end anywhere in it. No secrets in the result.
"""


class JobRunner:
    """Runs the jobs of `kinds`; `start` and `stop` from the process that owns it."""

    def __init__(
        self,
        queue: JobQueue,
        kinds: Mapping[str, Work],
        owner: str,
        *,
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
    ) -> None:
        self._queue, self._kinds, self._owner = queue, dict(kinds), owner
        self._lease_s, self._poll_s = lease_s, poll_s
        self._draining = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to claim jobs; nothing without kinds."""
        if self._kinds:
            self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Claim no more, have the running job give itself back at its next beat; False when it did not in time.

        What is left then goes to another process when the lease runs out. Blocks.
        """
        self._draining.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def run_one(self) -> bool:
        """Claim and do one job; False when there is none, or the registry is away."""
        try:
            job = self._queue.claim(list(self._kinds), self._owner, self._lease_s)
        except Exception as error:  # noqa: BLE001 the data plane outlives the control plane
            _log.warning("jobs_not_read", error=str(error))
            return False
        if job is None:
            return False
        _log.info("job_begins", job=job.id, kind=job.kind, attempt=job.attempts)
        try:
            result, failed = dict(self._kinds[job.kind](job, self._beat_of(job))), False
        except Stopped:
            self._give_back(job)
            return False
        except HookbergError as error:
            result, failed = {"message": str(error)[:MAX_MESSAGE]}, True
        except Exception as error:  # noqa: BLE001 a bug of one kind ends that job, not the stage
            _log.exception("job_failed", job=job.id, kind=job.kind)
            result, failed = {"message": f"{type(error).__name__}: see the log of the stage"}, True
        self._finish(job, result, failed=failed)
        return True

    def _beat_of(self, job: Job) -> Beat:
        def beat(share: float, so_far: Mapping[str, Any] | None = None) -> None:
            if self._draining.is_set():
                raise Stopped
            try:
                ours = self._queue.progress(job.id, self._owner, share, self._lease_s, so_far)
            except Exception as error:  # noqa: BLE001 the registry is away: whoever takes the job over does it again
                _log.warning("job_not_renewed", job=job.id, error=str(error))
                return
            if not ours:
                raise Stopped

        return beat

    def _give_back(self, job: Job) -> None:
        """End the lease now, so that another process need not wait for it; it is no longer ours when it was lost."""
        try:
            self._queue.progress(job.id, self._owner, 0.0, 0.0)
        except Exception as error:  # noqa: BLE001 then it runs out by itself
            _log.warning("job_not_given_back", job=job.id, error=str(error))

    def _finish(self, job: Job, result: Mapping[str, Any], *, failed: bool) -> None:
        try:
            if not self._queue.finish(job.id, self._owner, result, failed=failed):
                _log.warning("job_was_lost", job=job.id, kind=job.kind)
        except Exception as error:  # noqa: BLE001 the lease runs out and the job is done again
            _log.warning("job_result_not_stored", job=job.id, error=str(error))

    def _run(self) -> None:
        while not self._draining.is_set():
            if not self.run_one():
                self._draining.wait(self._poll_s)
