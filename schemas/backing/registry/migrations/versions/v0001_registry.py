"""The registry's first tables: tenants, keys, sources, streams, subjects, topics, jobs, changes, counters, answers.

Revision: 0001. What each column means stands in tables.py; JSON is kept as text on both databases.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.String(36)
_NAME = sa.String(255)


def upgrade() -> None:
    """Make the tables."""
    _identities()
    _sources()
    _streams()
    _subjects()
    _topics()
    _work()


def _stamps() -> list[sa.Column[int]]:
    return [
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    ]


def _tenant() -> sa.Column[str]:
    return sa.Column("tenant_id", _NAME, sa.ForeignKey("tenants.id"), nullable=False)


def _identities() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", _NAME, primary_key=True),
        sa.Column("disabled", sa.Boolean, nullable=False),
        *_stamps(),
    )
    op.create_table(
        "keys",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("tenant_id", _NAME, sa.ForeignKey("tenants.id")),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("definition", sa.Text, nullable=False),
        *_stamps(),
    )


def _sources() -> None:
    op.create_table(
        "sources",
        sa.Column("id", _ID, primary_key=True),
        _tenant(),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("platform", _NAME, nullable=False),
        sa.Column("topic", _NAME, nullable=False),
        sa.Column("partitioning", sa.String(16), nullable=False),
        sa.Column("partitions", sa.Integer, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("key_id", _ID),
        sa.Column("definition", sa.Text, nullable=False),
        *_stamps(),
        sa.UniqueConstraint("tenant_id", "name"),
    )
    op.create_index("sources_topic", "sources", ["topic"])
    for table, secret, unique in (("source_urls", "digest", True), ("source_secrets", "ciphertext", None)):
        op.create_table(
            table,
            sa.Column("id", _ID, primary_key=True),
            sa.Column("source_id", _ID, sa.ForeignKey("sources.id", ondelete="CASCADE"), nullable=False),
            sa.Column(secret, sa.LargeBinary, nullable=False, unique=unique),
            sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        )
        op.create_index(f"ix_{table}_source_id", table, ["source_id"])


def _streams() -> None:
    op.create_table(
        "streams",
        sa.Column("id", _ID, primary_key=True),
        _tenant(),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("namespace", _NAME, nullable=False),
        sa.Column("table_name", _NAME, nullable=False),
        sa.Column("desired", sa.String(16), nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("accept_loss", sa.Boolean, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        *_stamps(),
        sa.UniqueConstraint("tenant_id", "name"),
        sa.UniqueConstraint("namespace", "table_name"),
    )
    op.create_table(
        "stream_states",
        sa.Column("stream_id", _ID, primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )


def _subjects() -> None:
    op.create_table(
        "subjects",
        sa.Column("id", _ID, primary_key=True),
        _tenant(),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        *_stamps(),
        sa.UniqueConstraint("tenant_id", "name"),
    )
    op.create_table(
        "schema_versions",
        sa.Column("subject_id", _ID, sa.ForeignKey("subjects.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("subject_id", "digest"),
    )


def _topics() -> None:
    op.create_table(
        "topic_names",
        sa.Column(
            "metric_name", _NAME, primary_key=True, comment="the name as Kafka's metrics see it: . and _ are one"
        ),
        sa.Column("name", _NAME, nullable=False),
    )
    op.create_table(
        "topics",
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("topic_id", sa.String(32), nullable=False),
        _tenant(),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("platform", _NAME, nullable=False),
        sa.Column("partitions", sa.Integer, nullable=False),
        sa.Column("group_name", sa.String(16), nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
    )


def _work() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", _ID, primary_key=True),
        _tenant(),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("owner", _NAME),
        sa.Column("lease_until_ms", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("jobs_claim", "jobs", ["state", "kind", "created_at_ms"])
    op.create_table(
        "changes",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tenant_id", _NAME),
        sa.Column("entity_type", sa.String(32), nullable=False),
        sa.Column("entity_id", _NAME, nullable=False),
        sa.Column("entity_name", _NAME, nullable=False),
        sa.Column("op", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("actor", _NAME, nullable=False),
        sa.Column("request_id", _NAME),
        sa.Column("fields", sa.Text, nullable=False),
    )
    op.create_index("changes_tenant", "changes", ["tenant_id", "revision"])
    op.create_table(
        "tallies",
        sa.Column("source_id", _ID, primary_key=True),
        sa.Column("process_start", sa.String(128), primary_key=True),
        sa.Column("accepted", sa.BigInteger, nullable=False),
        sa.Column("handshakes", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.Text, nullable=False),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("last_event_at_ms", sa.BigInteger),
    )
    op.create_table(
        "idempotency",
        sa.Column("key_id", _ID, primary_key=True),
        sa.Column("idem_key", _NAME, primary_key=True),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False, comment="encrypted: it may show a secret once"),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_idempotency_created_at_ms", "idempotency", ["created_at_ms"])
