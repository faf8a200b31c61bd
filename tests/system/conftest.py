"""One `hookberg up` for all system tests; each test makes its own tenant, so every run tests the isolation.

HOOKBERG_TEST_SERVER, the data folder of a server that runs already, is used instead (quicker while writing tests).
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.house import stack
from tests.system.client import Server
from tests.system.commands import audit


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield the URLs and the data folder of a ready server; in the end every tenant made here passes the audit."""
    with ExitStack() as ends:
        if running_already := os.environ.get("HOOKBERG_TEST_SERVER"):
            folder = Path(running_already)
            where = json.loads((folder / "up.json").read_text("utf-8"))
            made = Server(where["url"], where["ingestUrl"], folder)
        else:
            running = ends.enter_context(stack.up_server(tmp_path_factory.mktemp("system") / "data"))
            made = Server(running.url, running.ingest_url, running.data_dir)
        yield made
        honest = [tenant for tenant in made.tenants if tenant not in made.broken]
        if honest:
            code, said = audit(made.data_dir, *(word for tenant in honest for word in ("--tenant", tenant)))
            assert code == 0, said
            assert "every sum holds" in said
