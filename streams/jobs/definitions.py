"""The definitions of the moment at which a job was asked for: who mends a pin and asks at once means the mended one."""

import time
from collections.abc import Callable

from schemas.definitions.job import Job
from schemas.definitions.view import Snapshot
from schemas.errors import Transient
from schemas.ports import RegistryView
from streams.jobs.runner import Beat

VIEW_S = 30.0
_POLL_S = 0.1


def as_asked(
    view: RegistryView,
    job: Job,
    beat: Beat,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Snapshot:
    """Return the registry as it was when the job was asked for, or newer; blocks; `Transient` if it stays away."""
    revision, deadline = int(job.arguments.get("revision", 0)), monotonic() + VIEW_S
    while revision and view.current().revision < revision:
        if monotonic() > deadline:
            raise Transient(f"the registry's newest definitions did not come within {VIEW_S:g} s: try again")
        beat(0.0)
        sleep(_POLL_S)
    return view.current()
