"""The writer's ground, clean for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.sinks.ground import GATE, Ground


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    GATE.clear()
    made = Ground(tmp_path)
    yield made
    made.close()
    GATE.clear()
