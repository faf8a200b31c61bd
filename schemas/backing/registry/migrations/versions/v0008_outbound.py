"""Outbound webhooks: entities, posted events, cursors and leases, the queue of deliveries and its attempts.

Revision: 0008. What each column means stands in outbound_tables.py.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _entities()
    _feeds()
    _deliveries()
    _attempts()


def _entities() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("tenant_id", sa.String(255), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("entity_version", sa.Integer, nullable=False),
        sa.Column("failure", sa.Text),
        sa.Column("change_description", sa.Text),
        sa.Column("updated_by", sa.String(255), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tenant_id", "name"),
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("webhook_id", sa.String(36), sa.ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, comment="null: the one in use"),
    )
    op.create_index("ix_webhook_secrets_webhook_id", "webhook_secrets", ["webhook_id"])
    op.create_table(
        "webhook_versions",
        sa.Column("webhook_id", sa.String(36), sa.ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("entity_version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "contacts",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("tenant_id", sa.String(255), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tenant_id", "name"),
    )


def _feeds() -> None:
    op.create_table(
        "posted_events",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tenant_id", sa.String(255), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("tenant_id", "event_id"),
    )
    op.create_index("posted_events_age", "posted_events", ["created_at_ms"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "feed_cursors",
        sa.Column("feed", sa.String(255), primary_key=True),
        sa.Column("tenant_id", sa.String(255)),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_feed_cursors_tenant_id", "feed_cursors", ["tenant_id"])


def _deliveries() -> None:
    op.create_table(
        "outbound_events",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tenant_id", sa.String(255), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("event_id", sa.String(36), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("outbound_events_named", "outbound_events", ["tenant_id", "event_id"])
    op.create_index("outbound_events_age", "outbound_events", ["created_at_ms"])
    op.create_table(
        "outbound_deliveries",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("tenant_id", sa.String(255), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("webhook_id", sa.String(36), sa.ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
        sa.Column(
            "receiver", sa.String(36), nullable=False, comment="empty: the webhook's endpoint; else a contact's id"
        ),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("events", sa.Text, nullable=False, comment="sequences in outbound_events, a JSON array"),
        sa.Column("first_event", sa.BigInteger, nullable=False, comment="the first of them: orders a lane"),
        sa.Column(
            "takes_more", sa.Boolean, nullable=False, comment="no attempt was begun, and there is room in the batch"
        ),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_attempt_at_ms", sa.BigInteger),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.Column("last_attempt_at_ms", sa.BigInteger),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_reason", sa.String(64)),
    )
    op.create_index("ix_outbound_deliveries_tenant_id", "outbound_deliveries", ["tenant_id"])
    op.create_index(
        "outbound_deliveries_due",
        "outbound_deliveries",
        ["webhook_id", "receiver", "next_attempt_at_ms", "first_event"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "outbound_deliveries_open",
        "outbound_deliveries",
        ["webhook_id", "receiver"],
        sqlite_where=sa.text("takes_more"),
        postgresql_where=sa.text("takes_more"),
    )
    op.create_index("outbound_deliveries_newest", "outbound_deliveries", ["webhook_id", "created_at_ms", "id"])
    op.create_index(
        "outbound_deliveries_counted", "outbound_deliveries", ["webhook_id", "state", "created_at_ms", "id"]
    )
    op.create_index("outbound_deliveries_age", "outbound_deliveries", ["state", "created_at_ms"])


def _attempts() -> None:
    op.create_table(
        "outbound_attempts",
        sa.Column(
            "delivery_id", sa.String(36), sa.ForeignKey("outbound_deliveries.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("webhook_id", sa.String(36), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("reason", sa.String(64)),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
    )
    op.create_index("outbound_attempts_counted", "outbound_attempts", ["webhook_id", "at_ms", "status", "duration_ms"])
    op.create_table(
        "outbound_requests",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("tenant_id", sa.String(255), sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("webhook_id", sa.String(36), sa.ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_outbound_requests_webhook_id", "outbound_requests", ["webhook_id"])
