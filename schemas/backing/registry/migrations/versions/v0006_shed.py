"""Counters of the edge: how many of the accepted were shed.

Revision: 0006. What each column means stands in tables.py.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("tallies", sa.Column("shed", sa.BigInteger, nullable=False, server_default="0"))
