"""Fixtures of the test stack for every test (tests/house), how the logs of what runs in tests look, how tests end."""

from collections.abc import Iterator

import pytest
import structlog

from deploy.processes import ending

ending.quick()
pytest_plugins = ["tests.house.fixtures", "tests.house.figures"]


@pytest.fixture(autouse=True)
def plain_tracebacks() -> Iterator[None]:
    """Print errors as Python does: structlog's default takes half a second for each."""
    structlog.configure(
        processors=[structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    yield
    structlog.reset_defaults()
