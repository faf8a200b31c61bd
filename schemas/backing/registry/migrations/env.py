"""Alembic's entry: runs the migrations on the connection that schema.py gives, inside its transaction.

https://alembic.sqlalchemy.org/en/latest/tutorial.html#the-migration-environment
"""

from alembic import context

from schemas.backing.registry.schema import VERSION_TABLE
from schemas.backing.registry.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    include_name=lambda name, kind, _parents: kind != "table" or name in METADATA.tables,
)
context.run_migrations()
