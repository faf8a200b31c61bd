"""One `hookberg up` for all system tests; each test makes its own tenant, so every run tests the isolation.

HOOKBERG_TEST_SERVER, the data folder of a server that runs already, is used instead (quicker while writing tests).
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import stack
from tests.system.client import Server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that are marked `last` behind all others."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield the URLs and the data folder of a ready server."""
    if running_already := os.environ.get("HOOKBERG_TEST_SERVER"):
        folder = Path(running_already)
        where = json.loads((folder / "up.json").read_text("utf-8"))
        yield Server(where["url"], where["ingestUrl"], folder)
        return
    with stack.up_server(tmp_path_factory.mktemp("system") / "data") as running:
        yield Server(running.url, running.ingest_url, running.data_dir)
