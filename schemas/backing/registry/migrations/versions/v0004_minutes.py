"""Minutes: what became of each source's events, minute by minute, and until when that is complete.

Revision: 0004. What each column means stands in tables.py.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "source_minutes",
        sa.Column("source_id", sa.String(36), sa.ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("ledger_id", sa.String(32), primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("first_offset", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_offset", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
    )
    op.create_index("source_minutes_age", "source_minutes", ["minute"])
    op.create_table(
        "ledgers_counted",
        sa.Column("ledger_id", sa.String(32), primary_key=True),
        sa.Column("tenant_id", sa.String(255), sa.ForeignKey("tenants.id"), nullable=False, index=True),
        sa.Column("complete_minute", sa.BigInteger, nullable=False),
    )
