"""Thousands of histories of the stage and its writers, each a seed; a failure prints the shortest trace of it.

`HOOKBERG_SIMULATION_SEED` and `HOOKBERG_SIMULATION_HISTORIES` run other ones.
"""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import run

SEED = int(os.environ.get("HOOKBERG_SIMULATION_SEED", "0"))
HISTORIES = int(os.environ.get("HOOKBERG_SIMULATION_HISTORIES", "5000"))
CHUNKS = 20
TOLD = """
from tests.simulation import run
with run.quiet():
    for seed in (3, 17, 1014):
        story = []
        run.told(seed, story)
        print(*story, sep="\\n")
"""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_history_ends_with_one_outcome_for_every_item(chunk: int) -> None:
    with run.quiet():
        for seed in range(SEED + chunk, SEED + HISTORIES, CHUNKS):
            failure = run.find(seed)
            if failure is not None:
                pytest.fail(str(failure), pytrace=False)
            if seed % 50 == 0:
                gc.collect()


def test_a_history_repeats_exactly() -> None:
    with run.quiet():
        for seed in (3, 17):
            first: list[str] = []
            second: list[str] = []
            run.told(seed, first)
            run.told(seed, second)
            assert first == second
            assert len(first) > 20


def test_a_history_is_the_same_in_every_process() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", TOLD],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(told) == 1
    assert len(told.pop().splitlines()) > 60
