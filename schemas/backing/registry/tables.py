"""The registry's tables, the same on SQLite and PostgreSQL; definitions are one JSON document beside indexed columns.

Lives here: the shape that queries use. How a database comes to it: migrations/versions. A test compares the two.
JSON is stored as text: what was accepted is what is read, on both databases.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()
ID = String(36)
NAME = String(255)


def stamps() -> tuple[Column[int], Column[int], Column[int]]:
    """Return the columns that count an object's changes and tell when it was made and changed."""
    return (
        Column("version", Integer, nullable=False),
        Column("created_at_ms", BigInteger, nullable=False),
        Column("updated_at_ms", BigInteger, nullable=False),
    )


TENANTS = Table("tenants", METADATA, Column("id", NAME, primary_key=True), Column("disabled", Boolean, nullable=False),
                *stamps())  # fmt: skip

KEYS = Table(
    "keys",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id")),
    Column("name", NAME, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("definition", Text, nullable=False),
    *stamps(),
)

SOURCES = Table(
    "sources",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("platform", NAME, nullable=False),
    Column("topic", NAME, nullable=False),
    Column("partitioning", String(16), nullable=False),
    Column("partitions", Integer, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("key_id", ID),
    Column("definition", Text, nullable=False),
    *stamps(),
    UniqueConstraint("tenant_id", "name"),
    Index("sources_topic", "topic"),
)

SOURCE_URLS = Table(
    "source_urls",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("source_id", ID, ForeignKey("sources.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_at_ms", BigInteger, nullable=False),
)

SOURCE_SECRETS = Table(
    "source_secrets",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("source_id", ID, ForeignKey("sources.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

REMOVED_SECRETS = Table(
    "removed_secrets",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("source_id", ID, ForeignKey("sources.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("removed_at_ms", BigInteger, nullable=False),
)

REFUSALS = Table(
    "refusals",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("source_id", ID, ForeignKey("sources.id", ondelete="CASCADE"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("refusals_newest", "source_id", "at_ms", "id"),
)

STREAMS = Table(
    "streams",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("namespace", NAME, nullable=False),
    Column("table_name", NAME, nullable=False),
    Column("desired", String(16), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("accept_loss", Boolean, nullable=False),
    Column("definition", Text, nullable=False),
    *stamps(),
    UniqueConstraint("tenant_id", "name"),
    UniqueConstraint("namespace", "table_name"),
)

STREAM_STATES = Table(
    "stream_states",
    METADATA,
    Column("stream_id", ID, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("document", Text, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

SUBJECTS = Table(
    "subjects",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("definition", Text, nullable=False),
    *stamps(),
    UniqueConstraint("tenant_id", "name"),
)

SCHEMA_VERSIONS = Table(
    "schema_versions",
    METADATA,
    Column("subject_id", ID, ForeignKey("subjects.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("text", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("subject_id", "digest"),
)

TOPIC_NAMES = Table(
    "topic_names",
    METADATA,
    Column("metric_name", NAME, primary_key=True, comment="the name as Kafka's metrics see it: . and _ are one"),
    Column("name", NAME, nullable=False),
)

TOPICS = Table(
    "topics",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("topic_id", String(32), nullable=False),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("platform", NAME, nullable=False),
    Column("partitions", Integer, nullable=False),
    Column("group_name", String(16), nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("slot", Integer, nullable=False, server_default="0"),
    Column("span", Integer, nullable=False, server_default="0"),
)

ROLES = Table(
    "roles",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("name", NAME, nullable=False),
    Column("role", NAME, nullable=False),
    Column("target", NAME, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("definition", Text, nullable=False),
    *stamps(),
    UniqueConstraint("tenant_id", "name"),
    UniqueConstraint("tenant_id", "role", "target"),
)

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("arguments", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("progress", Float, nullable=False),
    Column("result", Text),
    Column("owner", NAME),
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Index("jobs_claim", "state", "kind", "created_at_ms"),
)

ALERTS = Table(
    "alerts",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("entity_type", String(32), nullable=False),
    Column("entity_id", ID, nullable=False),
    Column("message", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("closed_at_ms", BigInteger),
    Column("version", Integer, nullable=False, server_default="1"),
    Index("alerts_newest", "tenant_id", "opened_at_ms", "id"),
    Index("alerts_entity", "entity_id", "status", "kind"),
)

SOURCE_MINUTES = Table(
    "source_minutes",
    METADATA,
    Column("source_id", ID, ForeignKey("sources.id", ondelete="CASCADE"), primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("ledger_id", String(32), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("first_offset", BigInteger, primary_key=True, autoincrement=False),
    Column("last_offset", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),
    Index("source_minutes_age", "minute"),
)

LEDGERS_COUNTED = Table(
    "ledgers_counted",
    METADATA,
    Column("ledger_id", String(32), primary_key=True),
    Column("tenant_id", NAME, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("complete_minute", BigInteger, nullable=False),
)

CHANGES = Table(
    "changes",
    METADATA,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant_id", NAME),
    Column("entity_type", String(32), nullable=False),
    Column("entity_id", NAME, nullable=False),
    Column("entity_name", NAME, nullable=False),
    Column("op", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("request_id", NAME),
    Column("fields", Text, nullable=False),
    Index("changes_tenant", "tenant_id", "revision"),
)

TALLIES = Table(
    "tallies",
    METADATA,
    Column("source_id", ID, primary_key=True),
    Column("process_start", String(128), primary_key=True),
    Column("accepted", BigInteger, nullable=False),
    Column("handshakes", BigInteger, nullable=False),
    Column("refused", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("last_event_at_ms", BigInteger),
    Column("shed", BigInteger, nullable=False, server_default="0"),
)

IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("key_id", ID, primary_key=True),
    Column("idem_key", NAME, primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False, comment="encrypted: it may show a secret once"),
    Column("created_at_ms", BigInteger, nullable=False, index=True),
)
