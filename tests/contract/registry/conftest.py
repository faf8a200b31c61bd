"""One registry a test, over SQLite and over a throw-away PostgreSQL: one suite, two databases."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.backing.registry import SYSTEM, Registry, Vault
from tests.fakes.clock import ManualClock
from tests.house import stack

KEY = bytes(range(32))
KEY_TEXT = base64.urlsafe_b64encode(KEY).decode()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.db"
    server: stack.Postgres = request.getfixturevalue("postgres")
    return server.fresh_database()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def registry(url: str, clock: ManualClock) -> Iterator[Registry]:
    made = Registry(url, vault=Vault(KEY), clock=clock, groups=2)
    made.migrate()
    made.tenants.create("acme", actor=SYSTEM)
    yield made
    made.close()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Yield one registry for all tests of a file, on a clock of its own."""
    url = f"sqlite:///{tmp_path_factory.mktemp('shared')}/registry.db"
    if request.param == "postgres":
        server: stack.Postgres = request.getfixturevalue("postgres")
        url = server.fresh_database()
    made = Registry(url, vault=Vault(KEY), clock=ManualClock(), groups=2)
    made.migrate()
    made.tenants.create("acme", actor=SYSTEM)
    yield made
    made.close()
