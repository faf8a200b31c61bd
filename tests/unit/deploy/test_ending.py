"""A process whose threads hang ends all the same, with its own exit code, and says where they stand."""

import subprocess
import sys
import time

import pytest

HANG = """
import asyncio, functools, threading
from deploy.processes import ending, foundation
from schemas.settings.processes import LogSettings

ending.bounded = functools.partial(ending.bounded, after_s={after_s})

def stuck_here():
    threading.Event().wait({hangs_s})

async def main():
    {begin}
    return {code}

raise SystemExit(foundation.run("ingress", LogSettings(), main))
"""
IN_THE_LOOPS_EXECUTOR = "asyncio.get_running_loop().run_in_executor(None, stuck_here)"
IN_A_THREAD_OF_ITS_OWN = "threading.Thread(target=stuck_here, name='look-up').start()"


CYCLE = """
from deploy.processes import ending

class Cycle:
    def __init__(self):
        self.own = self

    def __del__(self):
        print("looked at")

{quick}
kept = [Cycle()]
del kept
"""
COMMAND = """
import atexit, gc, sys
from deploy import cli

atexit.register(lambda: print("frozen", gc.get_freeze_count() > 10_000))
sys.argv = ["hookberg", "settings", "--help"]
cli.main()
"""


def ended(begin: str, *, code: int, hangs_s: float, after_s: float) -> tuple[int, str, float]:
    text = HANG.format(begin=begin, code=code, hangs_s=hangs_s, after_s=after_s)
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr, time.monotonic() - began


@pytest.mark.parametrize("begin", [IN_THE_LOOPS_EXECUTOR, IN_A_THREAD_OF_ITS_OWN])
def test_a_process_whose_thread_hangs_ends_with_its_own_code_and_says_where(begin: str) -> None:
    code, log, took_s = ended(begin, code=75, hangs_s=600, after_s=0.3)
    assert code == 75
    assert "exit_was_stuck" in log
    assert "stuck_here" in log  # where the thread stands
    assert took_s < 50


def test_a_process_that_ends_in_time_is_left_alone() -> None:
    code, log, _ = ended(IN_THE_LOOPS_EXECUTOR, code=3, hangs_s=0.2, after_s=30)
    assert (code, log) == (3, "")


def said(text: str) -> str:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_the_interpreter_looks_for_no_cycles_when_it_ends() -> None:
    assert said(CYCLE.format(quick="")) == "looked at\n"
    assert said(CYCLE.format(quick="ending.quick()")) == ""


def test_every_command_ends_so() -> None:
    assert said(COMMAND).endswith("frozen True\n")
