"""Roles, and the ranges of partitions that worker groups have in ledger and run topics.

Revision: 0005. What each column means stands in tables.py; rule 9 of the data path.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TOPICS = sa.table(
    "topics",
    sa.column("name", sa.String),
    sa.column("tenant_id", sa.String),
    sa.column("kind", sa.String),
    sa.column("group_name", sa.String),
    sa.column("partitions", sa.Integer),
    sa.column("slot", sa.Integer),
    sa.column("span", sa.Integer),
)


def upgrade() -> None:
    """Make the table and the columns; number the groups that tenants have by now."""
    op.create_table(
        "roles",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("tenant_id", sa.String(255), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("role", sa.String(255), nullable=False),
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tenant_id", "name"),
        sa.UniqueConstraint("tenant_id", "role", "target"),
    )
    op.add_column("topics", sa.Column("slot", sa.Integer, nullable=False, server_default="0"))
    op.add_column("topics", sa.Column("span", sa.Integer, nullable=False, server_default="0"))
    _number(op.get_bind())


def _number(connection: sa.Connection) -> None:
    """Give each group of a tenant its number, and each ledger the width that its groups had of it."""
    rows = connection.execute(sa.select(_TOPICS)).all()
    raw = [row for row in rows if row.kind == "webhook"]
    groups = {
        tenant: sorted({row.group_name for row in raw if row.tenant_id == tenant}, key=lambda name: (len(name), name))
        for tenant in {row.tenant_id for row in raw}
    }
    for row in raw:
        slot = groups[row.tenant_id].index(row.group_name)
        connection.execute(sa.update(_TOPICS).where(_TOPICS.c.name == row.name).values(slot=slot))
    for row in rows:
        if row.kind == "ledger":
            span = max(1, row.partitions // max(1, len(groups.get(row.tenant_id, ()))))
            connection.execute(sa.update(_TOPICS).where(_TOPICS.c.name == row.name).values(span=span))
