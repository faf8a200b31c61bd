"""The rings of refused requests, and secrets that were removed: kept a while, only to say that one was used.

Revision: 0002. What each column means stands in tables.py.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "refusals",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("source_id", sa.String(36), sa.ForeignKey("sources.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("refusals_newest", "refusals", ["source_id", "at_ms", "id"])
    op.create_table(
        "removed_secrets",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("source_id", sa.String(36), sa.ForeignKey("sources.id", ondelete="CASCADE"), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("removed_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_removed_secrets_source_id", "removed_secrets", ["source_id"])
