"""One tenant's deletion: which step it is at, and one look at that step (rule 25).

Lives here: the steps and their order. Each may be done again from its beginning, by another process, after a kill
anywhere in it; what a later step needs is kept in the job before it is gone. Not here: claiming (desk.py), rows of the
registry (schemas/backing/registry/objects/retired.py), what the stage forgets (streams/engine/forget.py).
"""

from collections.abc import Callable, Mapping
from typing import Any

from schemas import logs
from schemas.backing.registry import SYSTEM
from schemas.definitions.job import DROP_TABLES, FORGET, Job, JobState
from schemas.definitions.stream import State
from schemas.errors import HookbergError
from sinks.jobs.tenants import drained
from sinks.jobs.tenants.world import World

STEPS = ("draining", "stopping", "releasing", "forgetting", "topics", "tables", "registry")
GRACE_MS = 3_000
"""From the mark to the first look: views learn of it within 1 s, answers on their way take their ack budget."""
LET_GO_MS = 2_000
"""From the release of topics to their end: longer than views and a round of the writers."""
STOP_MS = 15_000
"""How long a writer that says nothing is waited for: it is fenced, or finds its topic gone."""
Keep = Callable[[Mapping[str, Any]], None]
_log = logs.logger(__name__)


class Deletion:
    """A claimed job of kind `tenants.delete`; `so_far` is what GET /jobs shows of it."""

    def __init__(self, world: World, job: Job, keep: Keep) -> None:
        self._world, self._job, self._tenant, self._keep = world, job, job.tenant_id, keep
        self.so_far: dict[str, Any] = {"step": STEPS[0], "waitingFor": [], **(job.result or {})}
        self._looks: dict[str, Callable[[], list[str]]] = {
            "draining": self._drain,
            "stopping": self._stop,
            "releasing": self._release,
            "forgetting": self._forget,
            "topics": self._delete_topics,
            "tables": self._drop_tables,
            "registry": self._empty,
        }

    @property
    def share(self) -> float:
        """Return the share of steps that are done."""
        return STEPS.index(self.so_far["step"]) / len(STEPS) if self.so_far["step"] in STEPS else 1.0

    def advance(self) -> bool:
        """Do what can be done now, several steps at most; return whether everything is. Never raises for long.

        What goes wrong is told as what is waited for, and tried again with the next look.
        """
        while self.so_far["step"] in STEPS:
            step = self.so_far["step"]
            try:
                waiting = self._looks[step]()
            except Exception as error:  # noqa: BLE001 Kafka, the catalog or the registry is away
                known = isinstance(error, HookbergError)
                _log.warning("tenant_deletion_waits", tenant=self._tenant, step=step, error=repr(error), bug=not known)
                waiting = [str(error)[:500] if known else f"{type(error).__name__}: see the log of the writers"]
            self.so_far["waitingFor"] = waiting
            if waiting:
                return False
            _log.info("tenant_deletion_step_done", tenant=self._tenant, step=step, job=self._job.id)
            self.so_far["step"] = (*STEPS[1:], "done")[STEPS.index(step)]
            self._keep(self.so_far)
        return True

    # ---- the steps: each returns what it waits for
    def _drain(self) -> list[str]:
        world, tenant = self._world, self._tenant
        if world.registry.retired.wanted(self._job.id).get("force"):
            self.so_far["forced"] = True
            return []
        if world.now_ms() - self._job.created_at_ms < GRACE_MS:
            return ["answers that are on their way"]
        if any(topic.tenant == tenant and topic.paused for topic in world.view.current().topics.values()):
            world.registry.retired.resume(tenant, actor=SYSTEM)
        return drained.undecided(world, tenant) or drained.unwritten(world, tenant)

    def _stop(self) -> list[str]:
        registry = self._world.registry
        ran = registry.retired.stop_streams(self._tenant, actor=SYSTEM)
        told = registry.states.all(self._tenant)
        running = [name for name in ran if name in told and told[name].state is not State.STOPPED]
        if not running or self._since("stoppedMs") > STOP_MS:
            return []
        return [f"{len(running)} streams to stop"]

    def _release(self) -> list[str]:
        retired = self._world.registry.retired
        if "remains" not in self.so_far:
            found = retired.remains(self._tenant)
            groups: dict[str, list[str]] = {}
            for topic_id, group in found.topics.values():
                groups.setdefault(group, []).append(topic_id)
            self.so_far["remains"] = {"sources": list(found.sources), "groups": groups}
            self._keep(self.so_far)  # from now on nobody else knows
        retired.release(self._tenant, actor=SYSTEM)
        return []

    def _forget(self) -> list[str]:
        waiting, remains = [], self.so_far["remains"]
        self._since("releasedMs")
        for group, topic_ids in sorted(remains["groups"].items()):
            if not group:  # only raw topics have a group
                continue
            arguments = {"sources": remains["sources"], "topicIds": topic_ids}
            state, told = self._part(f"{FORGET}.{group}", arguments)
            if state is not JobState.SUCCEEDED:
                states = told.get("states", 0)
                waiting.append(f"worker group {group} to forget what it remembers ({states} events so far)")
        return waiting

    def _delete_topics(self) -> list[str]:
        if self._since("releasedMs") < LET_GO_MS:
            return ["readers to let go of the topics"]
        names = self._world.registry.retired.remains(self._tenant).names
        left = self._world.topics.describe(names)
        if not left:
            return []
        self._world.topics.delete(left)
        self.so_far["topicsDeleted"] = max(len(left), self.so_far.get("topicsDeleted", 0))
        return [f"{len(left)} topics to go"]

    def _drop_tables(self) -> list[str]:
        if not self._world.registry.retired.wanted(self._job.id).get("dropTables"):
            self.so_far["tables"] = "kept"
            return []
        state, told = self._part(DROP_TABLES, {"tenant": self._tenant})
        if state is JobState.SUCCEEDED:
            self.so_far["tables"] = told
            return []
        return [f"the writers to drop its tables {told.get('message', '')}".rstrip()]

    def _empty(self) -> list[str]:
        self._world.registry.retired.empty(self._tenant, actor=SYSTEM)
        return self._delete_topics()  # one may have been made while the tenant was disabled

    # ---- parts done elsewhere
    def _part(self, kind: str, arguments: Mapping[str, Any]) -> tuple[JobState, Mapping[str, Any]]:
        """Return state and result of the job that does a part, queued when there is none, anew when it failed."""
        jobs, parts = self._world.registry.jobs, self.so_far.setdefault("parts", {})
        if kind not in parts:
            parts[kind] = jobs.follow(self._tenant, kind, arguments, actor=SYSTEM).id
            self._keep(self.so_far)
        found = jobs.get(self._tenant, parts[kind])
        if found.state is JobState.FAILED:
            del parts[kind]
        return found.state, found.result or {}

    def _since(self, mark: str) -> int:
        """Return the ms since this was first asked."""
        now = self._world.now_ms()
        return now - int(self.so_far.setdefault(mark, now))
