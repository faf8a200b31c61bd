"""Runs one process of Hookberg as `hookberg NAME` does, with two things that a test can move from outside.

`python -m tests.faults.entry NAME`; the folder that FAULTS_DIR names holds `clock` (8 bytes: ns that the wall clock is
off) and, while the state disk is full, `state-disk-full`. Lives here: putting both in place of the real ones. Not here:
the table store that runs full (store.py), which is an option of the catalog.
"""

import errno
import mmap
import os
import struct
import sys
from pathlib import Path
from typing import Any

from deploy.cli import main
from deploy.local.process import die_with
from deploy.processes import foundation
from deploy.processes.clock import SystemClock
from streams.engine.table import FirstSeenTable

CLOCK, STATE_FULL = "clock", "state-disk-full"
OFFSET = struct.Struct("<q")


class JumpingClock(SystemClock):
    """The real clock with its wall time moved by what a file says now."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._seen = mmap.mmap(file.fileno(), OFFSET.size, access=mmap.ACCESS_READ)

    def time_ns(self) -> int:
        moved: int = OFFSET.unpack(self._seen[: OFFSET.size])[0]
        return super().time_ns() + moved


def install(folder: Path) -> None:
    """Put the movable clock and the disk that can be full in place."""
    setattr(foundation, "SystemClock", lambda: JumpingClock(folder / CLOCK))  # noqa: B010 it is no public name
    full = folder / STATE_FULL
    for name in ("apply", "restore"):
        setattr(FirstSeenTable, name, _refusing(getattr(FirstSeenTable, name), full))


def _refusing(write: Any, full: Path) -> Any:
    def refused(*args: Any, **kwargs: Any) -> Any:
        if full.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*args, **kwargs)

    return refused


def run() -> None:
    """Be the process that the command line names; die with the harness."""
    dies = die_with(os.getppid())
    if dies is not None:
        dies()
    install(Path(os.environ["FAULTS_DIR"]))
    main()


if __name__ == "__main__":
    sys.argv[0] = "hookberg"
    run()
