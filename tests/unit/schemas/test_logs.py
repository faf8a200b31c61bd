"""Logs: an exception is told with its trace and never with the values that were at hand."""

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import logging, sys
from schemas import logs
logs.configure("test", fmt=sys.argv[1])
def fail():
    at_hand = "s3cret" + "-in-a-local"
    raise ValueError("told: hbk_abcdefghijkl at /in/abcdefghijklmnopqrstuvwxyz")
for log in (logs.logger("ours"), logging.getLogger("a.library")):
    try:
        fail()
    except ValueError:
        log.exception("it_failed")
"""


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_a_trace_shows_no_values(fmt: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, fmt], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert done.stderr.count("ValueError: told:") == 2
    assert done.stderr.count("it_failed") >= 2
    for secret in ("s3cret-in-a-local", "hbk_abc", "/in/abcdef"):
        assert secret not in done.stderr
