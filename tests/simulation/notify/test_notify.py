"""Outbound webhooks under every fault: seeded histories of the real engine and queue over a simulated network."""

import logging
from pathlib import Path

import pytest

from tests.simulation.notify.history import history, template
from tests.simulation.notify.rules import check


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return template(tmp_path_factory.mktemp("notify"))


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_and_nothing_waits_for_ever(seed: int, begin: Path) -> None:
    logging.disable(logging.CRITICAL)
    try:
        with history(seed, begin) as made:
            check(made)
    finally:
        logging.disable(logging.NOTSET)
