"""The test of the test: each mutation is found within a bounded number of histories, with a short trace."""

import pytest

from tests.simulation import mutations, run
from tests.simulation.stage import Parts

MOST_HISTORIES = 150
MOST_ACTIONS = 25


@pytest.mark.parametrize("parts", mutations.STAGE, ids=lambda parts: parts.__name__)
def test_finds_what_was_made_wrong(parts: type[Parts]) -> None:
    with run.quiet():
        found = next((failure for seed in range(MOST_HISTORIES) if (failure := run.find(seed, parts))), None)
    assert found is not None, f"{parts.__name__} was not found in {MOST_HISTORIES} histories"
    assert len(found.history.actions) <= MOST_ACTIONS, str(found)


def test_shortening_keeps_what_fails_and_nothing_else() -> None:
    whole = tuple(("step", number) for number in range(40))
    needed = {whole[3], whole[21], whole[22]}
    assert set(run.shrink(whole, lambda actions: needed <= set(actions))) == needed
