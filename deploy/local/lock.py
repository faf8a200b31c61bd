"""One `hookberg up` a data folder: an fcntl lock that the kernel gives up when its holder dies.

Lives here: the lock and its refusal. May not live here: anything inside the folder (folder.py).
flock: https://man7.org/linux/man-pages/man2/flock.2.html
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from deploy.local.errors import LocalError
from schemas.reasons import Reason

LOCK_FILE = "up.lock"


class FolderLock:
    """Hold `folder/up.lock` for the length of a `with` block; the file names the holder's pid."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock at once or raise LocalError `data_dir_locked` with the holder's pid."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise LocalError(
                Reason.DATA_DIR_LOCKED,
                f"another `hookberg up` (process {holder}) runs on {self._path.parent}. "
                f"Use that one, end it with `kill {holder}`, or choose another folder with --data-dir and other ports",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lock up; the file stays (removing it would let two holders lock two files)."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
