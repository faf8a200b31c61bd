"""Alerts have a version, counted by the log of changes: opened, escalated, closed.

Revision: 0007. What each column means stands in tables.py.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("alerts", sa.Column("version", sa.Integer, nullable=False, server_default="1"))
