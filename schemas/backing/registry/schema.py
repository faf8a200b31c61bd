"""Which version of the schema a database has, and bringing it to ours with Alembic.

Lives here: running migrations and comparing versions. The migrations: migrations/versions.
https://alembic.sqlalchemy.org/en/latest/cookbook.html (sharing a connection)
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from schemas.backing.registry.database import Database
from schemas.errors import ConfigurationError

VERSION_TABLE = "hookberg_version"
"""Not Alembic's default name: an Iceberg SQL catalog may live in the same database."""
_FOLDER = Path(__file__).parent / "migrations"


def migrate(database: Database) -> None:
    """Bring the database to this release's version in one transaction; two processes at once do it once."""
    with database.change() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(database: Database) -> None:
    """Raise `ConfigurationError` when the database is older or newer than this release."""
    script = ScriptDirectory.from_config(_config())
    head = script.get_current_head()
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        found = context.get_current_revision() if inspect(connection).has_table(VERSION_TABLE) else None
    if found == head:
        return
    known = {revision.revision for revision in script.walk_revisions()}
    if found is None or found in known:
        raise ConfigurationError(
            f"the registry database is at version {found or 'none'}, this release needs {head}: run `hookberg migrate`"
        )
    raise ConfigurationError(
        f"the registry database is at version {found}, newer than this release ({head}): start the newer release"
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
