"""Which operating-system processes do the work, and their violent end, by pid.

`up.json` in the data folder names the supervised processes; workers below them are found in /proc
(https://man7.org/linux/man-pages/man5/proc_pid_task.5.html).
"""

import json
import os
import signal
from pathlib import Path
from typing import Any


def state(data_dir: Path) -> dict[str, Any]:
    """Return what `up.json` says now."""
    found = json.loads((data_dir / "up.json").read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def workers(data_dir: Path, name: str) -> list[int]:
    """Return the pids that do the work of a process: its innermost children, or itself when it has none."""
    return _leaves(int(state(data_dir)["processes"][name]["pid"]))


def command(pid: int) -> str:
    """Return the end of a process' command line."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")[-60:].strip()


def kill(pid: int) -> None:
    """Send SIGKILL; the process must be there."""
    os.kill(pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    """Tell whether a pid has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _leaves(pid: int) -> list[int]:
    below = [child for each in _children(pid) for child in _leaves(each)]
    return below or [pid]


def _children(pid: int) -> list[int]:
    out: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        out += [int(child) for child in (task / "children").read_text("utf-8").split()]
    return out
