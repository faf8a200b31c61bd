"""The database's version: made once, checked at each start; the migrations and tables.py say the same."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.backing.registry.schema import VERSION_TABLE
from schemas.backing.registry.tables import METADATA
from schemas.errors import ConfigurationError
from tests.contract.registry.conftest import KEY
from tests.contract.registry.make import source
from tests.fakes.clock import ManualClock


def test_migrations_lead_to_the_tables_that_queries_use(registry: Registry) -> None:
    registry.migrate()
    registry.check_version()
    with registry._database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_a_database_without_tables_says_what_to_run(url: str, clock: ManualClock) -> None:
    empty = Registry(url, vault=Vault(KEY), clock=clock)
    for call in (empty.check_version, empty.load, empty.revision):
        with pytest.raises(ConfigurationError, match="hookberg migrate"):
            call()
    empty.close()


def test_a_newer_database_is_refused(registry: Registry) -> None:
    with registry._database.write() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer"):
        registry.check_version()


def test_secrets_never_stand_plain_in_the_database_file(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "registry.db"
    registry = Registry(f"sqlite:///{path}", vault=Vault(KEY), clock=clock)
    registry.migrate()
    registry.tenants.create("acme", actor=SYSTEM)
    made = source(registry, auth={"type": "slack", "secrets": ["pl4in-secret"]}, description="findable")
    registry.sources.add_secret("acme", made.id, b"second-s3cret", actor=SYSTEM)
    _, token = registry.sources.add_url("acme", made.id, actor=SYSTEM)
    registry.idempotency.save("k", "i", b"d", 201, {}, b"shown-0nce")
    registry.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"findable" in stored
    for secret in (b"pl4in-secret", b"second-s3cret", token.encode(), b"shown-0nce", KEY):
        assert secret not in stored


@pytest.mark.parametrize("bad", ["sqlite://", "mysql://u@h/d", "not a url", "sqlite:///:memory:"])
def test_refuses_a_url_of_another_database(bad: str, clock: ManualClock) -> None:
    with pytest.raises(ConfigurationError, match="REGISTRY_URL"):
        Registry(bad, vault=Vault(KEY), clock=clock)
