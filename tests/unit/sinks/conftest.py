"""The writer's ground, clean for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.unit.sinks.ground import GATE, Ground


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    GATE.clear()
    made = Ground(tmp_path)
    yield made
    made.close()
    GATE.clear()


@pytest.fixture(autouse=True)
def plain_tracebacks() -> Iterator[None]:
    """Print errors as Python does: the default takes half a second for each."""
    structlog.configure(
        processors=[structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    yield
    structlog.reset_defaults()
