"""The thread that leads deletions of tenants: several at a time, each looked at in turn, none waited for.

Lives here: claim, lease, progress, end. A deletion may wait for hours until its tenant is drained, so none has a thread
of its own. Not here: the steps (deletion.py).
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from schemas import logs
from schemas.definitions.job import DELETE_TENANT, Job
from sinks.jobs.tenants.deletion import STEPS, Deletion
from sinks.jobs.tenants.world import World

LEASE_S = 30.0
ROUND_S = 0.5
AT_ONCE = 8
_NUDGE = 1e-6
"""Each look is progress, so that a deletion that waits over many restarts is not taken for one that ends them."""
log = logs.logger(__name__)


class Lost(Exception):
    """The lease went to another process."""


class Desk:
    """Leads the deletions that this process has claimed; `start` and `stop` from the process that owns it."""

    def __init__(
        self, world: World, owner: str, *, lease_s: float = LEASE_S, of: Callable[..., Deletion] = Deletion
    ) -> None:
        self._world, self._owner, self._lease_s, self._of = world, owner, lease_s, of
        self._held: dict[str, tuple[Deletion, list[float]]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tenants", daemon=True)

    def start(self) -> None:
        """Begin to claim deletions."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Claim no more and give back what is held; what is in the middle of a step is done again elsewhere."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def round(self) -> bool:
        """Claim one deletion and look at each that is held; tell whether any is."""
        try:
            job = None
            if len(self._held) < AT_ONCE:
                job = self._world.registry.jobs.claim([DELETE_TENANT], self._owner, self._lease_s)
        except Exception as error:  # noqa: BLE001 the data plane outlives the control plane
            log.warning("jobs_not_read", error=str(error))
            return bool(self._held)
        if job is not None:
            log.info("tenant_deletion_begins", tenant=job.tenant_id, job=job.id, attempt=job.attempts)
            shares = [job.progress]
            self._held[job.id] = self._of(self._world, job, self._keeper(job, shares)), shares
        for job_id in list(self._held):
            self._look(job_id)
        return bool(self._held)

    def _look(self, job_id: str) -> None:
        deletion, shares = self._held[job_id]
        try:
            if deletion.advance():
                self._world.registry.jobs.finish(job_id, self._owner, deletion.so_far)
                del self._held[job_id]
                log.info("tenant_deleted", job=job_id)
            else:
                self._beat(job_id, deletion.share, shares, deletion.so_far)
        except Lost:
            log.warning("job_was_lost", job=job_id)
            del self._held[job_id]
        except Exception as error:  # noqa: BLE001 the registry is away: the next look, or another process
            log.warning("job_not_renewed", job=job_id, error=str(error))

    def _keeper(self, job: Job, shares: list[float]) -> Callable[[Mapping[str, Any]], None]:
        def keep(so_far: Mapping[str, Any]) -> None:
            step = so_far["step"]
            self._beat(job.id, STEPS.index(step) / len(STEPS) if step in STEPS else 1.0, shares, so_far)

        return keep

    def _beat(self, job_id: str, share: float, shares: list[float], so_far: Mapping[str, Any]) -> None:
        """Renew the lease and keep the result so far; raises `Lost`, and what the registry raises while it is away."""
        shares[0] = max(share, shares[0] + _NUDGE)
        if not self._world.registry.jobs.progress(job_id, self._owner, shares[0], self._lease_s, so_far):
            raise Lost

    def _run(self) -> None:
        while not self._over.is_set():
            self.round()
            self._over.wait(ROUND_S)
        for job_id, (_deletion, shares) in self._held.items():
            try:
                self._world.registry.jobs.progress(job_id, self._owner, shares[0], 0.0)
            except Exception as error:  # noqa: BLE001 then the lease runs out by itself
                log.warning("job_not_given_back", job=job_id, error=str(error))
