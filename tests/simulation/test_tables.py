"""Histories of the table's writers, and the test of that test."""

import gc
from typing import Any

import pytest

from tests.simulation import lake, mutations, run, tables
from tests.simulation.test_simulation import SEED

HISTORIES = 1_000
CHUNKS = 10
MOST_HISTORIES = 100
MOST_ACTIONS = 25


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_committed_event_becomes_one_row(chunk: int) -> None:
    with run.quiet(), lake.lean():
        for seed in range(SEED + chunk, SEED + HISTORIES, CHUNKS):
            failure = run.find(seed, draw=tables.draw)
            if failure is not None:
                pytest.fail(str(failure), pytrace=False)
            if seed % 50 == 0:
                gc.collect()


@pytest.mark.parametrize("broken", mutations.TABLES, ids=lambda broken: next(iter(broken.values())).__name__)
def test_finds_what_was_made_wrong_in_the_writer(broken: dict[str, Any]) -> None:
    with run.quiet(), lake.lean(**broken):
        seeds = range(MOST_HISTORIES)
        found = next((failure for seed in seeds if (failure := run.find(seed, draw=tables.draw))), None)
    assert found is not None
    assert len(found.history.actions) <= MOST_ACTIONS, str(found)
