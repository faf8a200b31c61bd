"""One `hookberg up` for all system tests; each test makes its own tenant, so every run tests the isolation."""

from collections.abc import Iterator

import pytest

from tests.house import stack
from tests.system.client import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield the URLs and the data folder of a ready server."""
    with stack.up_server(tmp_path_factory.mktemp("system") / "data") as running:
        yield Server(running.url, running.ingest_url, running.data_dir)
