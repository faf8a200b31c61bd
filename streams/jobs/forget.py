"""The job `streams.forget.{group}`: what one worker group remembers of a deleted tenant goes (rule 25).

Lives here: the job. Arguments: `sources` (ids), `topicIds`. Its process alone may write the group's state, so each
group does its own; done again it finds nothing left. Not here: the work itself (engine/forget.py).
"""

from collections.abc import Mapping
from typing import Any

from schemas.definitions.job import FORGET, Job
from streams.engine.forget import Forgetting
from streams.jobs.runner import Beat, Work


def kind(group: str) -> str:
    """Return the kind of job that a group claims."""
    return f"{FORGET}.{group}"


def of(forgetting: Forgetting) -> Work:
    """Return the work of the job."""

    def work(job: Job, beat: Beat) -> Mapping[str, Any]:
        def alive(states: int) -> None:
            beat(states / (states + 1_000), {"states": states})  # how many there are nobody counts

        alive(0)
        done = forgetting.ask(list(job.arguments["sources"]), list(job.arguments["topicIds"]), alive)
        return {"states": done.states, "stands": done.stands}

    return work
