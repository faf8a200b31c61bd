"""Wait for something without sleeping blindly.

Lives here: polling with a deadline and free ports. May not live here: servers (the other modules of this folder).
"""

import time
from collections.abc import Callable
from typing import TypeVar

from deploy.local.ports import free_port

__all__ = ["free_port", "wait_until"]

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], deadline_s: float = 10.0, *, every_s: float = 0.05, what: str = "") -> T:
    """Return the first truthy value of `predicate`; raise AssertionError after `deadline_s` with its last value."""
    deadline = time.monotonic() + deadline_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'condition'} not met within {deadline_s:g} s; last value: {value!r}")
        time.sleep(every_s)
