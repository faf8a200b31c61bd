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
