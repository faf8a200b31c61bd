"""Fill a cache folder once, atomically, also when several processes want it at the same time.

Lives here: lock, temporary folder, rename. May not live here: what goes into the folder.
`flock` is given up by the kernel when its holder dies (https://man7.org/linux/man-pages/man2/flock.2.html).
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from deploy.local.errors import LocalError
from schemas.reasons import Reason

LOCK_WAIT_S = 600.0
"""The longest wait for another process that fills the same folder."""


def publish_dir(
    parent: Path,
    name: str,
    fill: Callable[[Path], None],
    *,
    marker: str,
    wait_s: float = LOCK_WAIT_S,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """Return `parent/name`, calling `fill(temporary folder)` first when it does not exist yet.

    `marker` is a path inside that a whole folder has. A virtual environment keeps absolute paths, so the folder is
    filled under its final name inside a generation folder and the generation is linked in by one rename.
    Raises LocalError `fetch_failed` when another process holds the lock longer than `wait_s`.
    """
    final = parent / name
    if (final / marker).exists():
        return final.resolve()
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (parent / f"{name}.lock").open("a") as handle:
        deadline = clock() + wait_s
        while not _try_lock(handle.fileno()):
            if clock() > deadline:
                text = f"another process has been filling {final} for {wait_s:.0f} s; end it and try again"
                raise LocalError(Reason.FETCH_FAILED, text)
            sleep(0.2)
        if (final / marker).exists():
            return final.resolve()
        for stale in parent.glob(f"{name}.gen-*"):
            shutil.rmtree(stale, ignore_errors=True)
        generation = parent / f"{name}.gen-{os.getpid()}"
        generation.mkdir(mode=0o700)
        try:
            fill(generation)
            _require(generation / marker)
        except BaseException:
            shutil.rmtree(generation, ignore_errors=True)
            raise
        link = parent / f"{name}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(generation.name)
        link.replace(final)
        return final.resolve()


def _require(marker: Path) -> None:
    if not marker.exists():
        raise LocalError(Reason.FETCH_FAILED, f"{marker.name} is missing in what was fetched; try again")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
