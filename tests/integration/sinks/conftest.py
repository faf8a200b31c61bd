"""Fixtures of the writers' tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.sinks.world import World


@pytest.fixture
def world(kafka_bootstrap: str, tmp_path: Path) -> Iterator[World]:
    """Yield a world of its own on the run's broker."""
    made = World(kafka_bootstrap, tmp_path)
    yield made
    made.stop()
