"""The registry's tables of outbound webhooks: entities, the queue of deliveries that is their log, cursors and leases.

Lives here: the shape that queries use, as in tables.py. How a delivery goes through them: sinks/notify/README.md.
"""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text
from sqlalchemy import UniqueConstraint as Unique

from schemas.backing.registry.tables import ID, METADATA, NAME, stamps

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("definition", Text, nullable=False),
    Column("status", String(24), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("entity_version", Integer, nullable=False),
    Column("failure", Text),
    Column("change_description", Text),
    Column("updated_by", NAME, nullable=False),
    *stamps(),
    Unique("tenant_id", "name"),
)

WEBHOOK_SECRETS = Table(
    "webhook_secrets",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("webhook_id", ID, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, comment="null: the one in use"),
)

WEBHOOK_VERSIONS = Table(
    "webhook_versions",
    METADATA,
    Column("webhook_id", ID, ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    Column("entity_version", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

CONTACTS = Table(
    "contacts",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("definition", Text, nullable=False),
    *stamps(),
    Unique("tenant_id", "name"),
)

POSTED_EVENTS = Table(
    "posted_events",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("event_id", ID, nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Unique("tenant_id", "event_id"),
    Index("posted_events_age", "created_at_ms"),
)

LEASES = Table(
    "leases",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("owner", NAME, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

FEED_CURSORS = Table(
    "feed_cursors",
    METADATA,
    Column("feed", NAME, primary_key=True),
    Column("tenant_id", NAME, index=True),
    Column("position", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

OUTBOUND_EVENTS = Table(
    "outbound_events",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("event_id", ID, nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("outbound_events_named", "tenant_id", "event_id"),
    Index("outbound_events_age", "created_at_ms"),
)

OUTBOUND_DELIVERIES = Table(
    "outbound_deliveries",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("webhook_id", ID, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("receiver", ID, nullable=False, comment="empty: the webhook's endpoint; else a contact's id"),
    Column("kind", String(16), nullable=False),
    Column("state", String(24), nullable=False),
    Column("events", Text, nullable=False, comment="sequences in outbound_events, a JSON array"),
    Column("first_event", BigInteger, nullable=False, comment="the first of them: orders a lane"),
    Column("takes_more", Boolean, nullable=False, comment="no attempt was begun, and there is room in the batch"),
    Column("attempts", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_attempt_at_ms", BigInteger),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("last_attempt_at_ms", BigInteger),
    Column("last_status", Integer),
    Column("last_reason", String(64)),
    Index("outbound_deliveries_newest", "webhook_id", "created_at_ms", "id"),
    Index("outbound_deliveries_counted", "webhook_id", "state", "created_at_ms", "id"),
    Index("outbound_deliveries_age", "state", "created_at_ms"),
)
TAKES_MORE = text("outbound_deliveries.takes_more")
PENDING = text("outbound_deliveries.state = 'pending'")
"""Conditions in the very words of the two indexes below: SQLite uses a partial index for nothing else."""
Index(
    "outbound_deliveries_open",
    OUTBOUND_DELIVERIES.c.webhook_id,
    OUTBOUND_DELIVERIES.c.receiver,
    sqlite_where=text("takes_more"),
    postgresql_where=text("takes_more"),
)
Index(
    "outbound_deliveries_due",
    OUTBOUND_DELIVERIES.c.webhook_id,
    OUTBOUND_DELIVERIES.c.receiver,
    OUTBOUND_DELIVERIES.c.next_attempt_at_ms,
    OUTBOUND_DELIVERIES.c.first_event,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)

OUTBOUND_ATTEMPTS = Table(
    "outbound_attempts",
    METADATA,
    Column("delivery_id", ID, ForeignKey("outbound_deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("webhook_id", ID, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("url", Text, nullable=False),
    Column("status", Integer),
    Column("reason", String(64)),
    Column("request", Text, nullable=False),
    Column("response", Text, nullable=False),
    Index("outbound_attempts_counted", "webhook_id", "at_ms", "status", "duration_ms"),
)

OUTBOUND_REQUESTS = Table(
    "outbound_requests",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("webhook_id", ID, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("arguments", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)
