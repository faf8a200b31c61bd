"""Runs `hookberg` as a person would: a command in a process of its own."""

import subprocess
import sys
from pathlib import Path

HOOKBERG = (sys.executable, "-m", "deploy.cli")
TOP = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120.0


def audit(data_dir: Path, *options: str) -> tuple[int, str]:
    """Return the exit code and everything printed."""
    return hookberg("audit", "--data-dir", str(data_dir), *options)


def hookberg(*words: str) -> tuple[int, str]:
    """Run a command of `hookberg`; return the exit code and everything printed."""
    done = subprocess.run([*HOOKBERG, *words], cwd=TOP, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return done.returncode, done.stdout + done.stderr
