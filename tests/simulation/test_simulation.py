"""Thousands of histories of the stage and its writers, each a seed; a failure prints the shortest trace of it.

`HOOKBERG_SIMULATION_SEED` and `HOOKBERG_SIMULATION_HISTORIES` run other ones.
"""

import gc
import os

import pytest

from tests.simulation import run

SEED = int(os.environ.get("HOOKBERG_SIMULATION_SEED", "0"))
HISTORIES = int(os.environ.get("HOOKBERG_SIMULATION_HISTORIES", "5000"))
CHUNKS = 20


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
