"""The option that asks for container tests, and their fixtures: engine, images, stack.

Without the option, or without an engine, the tests are skipped with the reason. `make test-compose` gives it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.compose import images, stack
from tests.compose.engine import Engine, EngineMissingError, engine


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register --run-compose."""
    parser.addoption("--run-compose", action="store_true", help="build the image and run the compose stack")


class Steps:
    """Prints the seconds of each step as it ends."""

    def __init__(self, config: pytest.Config) -> None:
        self._capture = config.pluginmanager.getplugin("capturemanager")

    @contextmanager
    def __call__(self, what: str) -> Iterator[list[str]]:
        """Time a block; what it appends to the list is printed beside the seconds."""
        notes: list[str] = []
        started = time.monotonic()
        yield notes
        self.say(f"{time.monotonic() - started:7.1f} s  {' '.join((what, *notes))}")

    def say(self, line: str) -> None:
        """Print a line past pytest's capture."""
        with self._capture.global_and_fixture_disabled():
            print(line, flush=True)


@pytest.fixture(scope="session")
def steps(request: pytest.FixtureRequest) -> Steps:
    """Return the printer of seconds per step."""
    return Steps(request.config)


@pytest.fixture(scope="session")
def container_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Yield an engine that answers; skips where it was not asked for or there is none."""
    if not request.config.getoption("--run-compose", default=False):
        pytest.skip("container tests run with --run-compose (make test-compose)")
    try:
        with engine() as found:
            yield found
    except EngineMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def image(container_engine: Engine, steps: Steps) -> str:
    """Return the name of our freshly built image; all base images are in the store."""
    for name in images.base_images():
        with steps(f"base image {name}:") as notes:
            notes.append(images.ensure(container_engine, name))
    with steps("build the image,") as notes:
        images.build(container_engine)
        notes.append(f"{images.size_mb(container_engine, images.OURS)} MB")
    return images.OURS


@pytest.fixture(scope="session")
def compose_stack(container_engine: Engine, image: str, steps: Steps) -> Iterator[stack.Stack]:
    """Yield the stack of docker-compose.yml with its own project name, secrets and free ports."""
    assert image == images.OURS
    with stack.running(container_engine, steps) as found:
        yield found
