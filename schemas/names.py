"""What things may be called, checked in one place.

Lives here: the patterns of tenants, platforms, sources, streams and tables, slugs. Not here: topics (topics.py).
The patterns are those of the contract (spec sections 1 and 5); a name that passes here is safe in a Kafka topic, an
Iceberg namespace and a URL path.
"""

import re

from schemas.errors import Refused
from schemas.reasons import Reason

_TENANT = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_PLATFORM = re.compile(r"[a-z0-9_-]{1,64}")
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TABLE_PART = re.compile(r"[a-z_][a-z0-9_]{0,127}")
_TARGET = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
WEBHOOK = "[A-Za-z0-9][A-Za-z0-9_-]{0,127}"
"""Of outbound webhooks: OpenMetadata has `SlackTableNotifications`; no dot, for `{tenant}.{name}` is a name too."""
UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
"""The shape by which paths of entities are told from those of ingest."""
_UUID = re.compile(UUID)
_WEBHOOK = re.compile(WEBHOOK)
_NOT_SLUG = re.compile(r"[^a-z0-9]+")

PLATFORMS_RESERVED = frozenset({"name"})
"""`/api/v1/webhooks/name/{name}` addresses an outbound webhook, so no platform is called so."""
TABLE_PREFIX_OURS = "hookberg_"
MAX_SLUG = 96


def tenant(value: str) -> str:
    """Return `value` if it may name a tenant; raise `Refused(invalid_name)` otherwise (spec section 1)."""
    if not _TENANT.fullmatch(value) or "__" in value:
        raise Refused(
            Reason.INVALID_NAME,
            f"tenant {_quote(value)}: use 1-63 of a-z 0-9 _ -, starting and ending with a letter or digit, no '__'",
        )
    return value


def platform(value: str) -> str:
    """Return `value` if it may name a platform; a UUID is refused so that entity and ingest paths never meet."""
    if not _PLATFORM.fullmatch(value) or value in PLATFORMS_RESERVED or is_uuid(value):
        raise Refused(Reason.INVALID_NAME, f"platform {_quote(value)}: use 1-64 of a-z 0-9 _ -, and not a UUID")
    return value


def label(kind: str, value: str) -> str:
    """Return `value` if it may name a stream or a source: `^[a-z0-9][a-z0-9-]{0,62}$`, and not a UUID."""
    if not _LABEL.fullmatch(value) or is_uuid(value):
        raise Refused(
            Reason.INVALID_NAME,
            f"{kind} {_quote(value)}: use 1-63 of a-z 0-9 -, starting with a letter or digit, and not a UUID",
        )
    return value


def webhook(value: str) -> str:
    """Return `value` if it may name an outbound webhook: 128 of A-Z a-z 0-9 _ -, and not a UUID."""
    if not _WEBHOOK.fullmatch(value) or is_uuid(value):
        raise Refused(
            Reason.INVALID_NAME,
            f"webhook {_quote(value)}: use 1-128 of A-Z a-z 0-9 _ -, starting with a letter or digit, and not a UUID",
        )
    return value


def subject(value: str) -> str:
    """Return `value` if it may name a schema subject."""
    if not _SUBJECT.fullmatch(value):
        raise Refused(Reason.INVALID_NAME, f"subject {_quote(value)}: use 1-128 of A-Z a-z 0-9 . _ -")
    return value


def run_target(value: str) -> str:
    """Return `value` if it may end the name of a run topic, `{tenant}.run.{target}`."""
    if not _TARGET.fullmatch(value):
        raise Refused(
            Reason.INVALID_NAME,
            f"target {_quote(value)}: use 1-64 of a-z 0-9 _ -, starting with a letter or digit",
        )
    return value


def target_table(value: str) -> str:
    """Return `value` if it is `table` or `schema.table` as a stream may name it (spec section 5)."""
    parts = value.split(".")
    fits = len(parts) <= 2 and all(_TABLE_PART.fullmatch(part) for part in parts)  # noqa: PLR2004 schema.table
    if not fits or parts[-1].startswith(TABLE_PREFIX_OURS) or (len(parts) > 1 and parts[0].startswith("_")):
        raise Refused(
            Reason.INVALID_NAME,
            f"targetTable {_quote(value)}: use `table` or `schema.table`, each of a-z 0-9 _ (not starting with a "
            f"digit, at most 128), a schema not starting with '_', a table not starting with '{TABLE_PREFIX_OURS}'",
        )
    return value


def namespace(tenant_id: str, table: str) -> tuple[str, str]:
    """Split a target table into its Iceberg (namespace, table): `{tenant}` or `{tenant}__{schema}`."""
    schema, _, name = table.rpartition(".")
    return (f"{tenant_id}__{schema}" if schema else tenant_id), name


def stitch_table(stream: str) -> str:
    """Return the table of a stream with `columnNames: stitch` that names none: a schema of its own (spec section 8)."""
    schema = stream.replace("-", "_")
    return f"{'s_' if schema[:1].isdigit() else ''}{schema}.data"


def latest_view(table: str) -> str:
    """Return the name of the view that shows the latest version of every key of a table."""
    return f"{table}_latest"


def tenant_of(namespace_name: str) -> str:
    """Return the tenant of an Iceberg namespace: what stands before the first `__`, which no tenant's name holds."""
    return namespace_name.partition("__")[0]


def slug(value: str) -> str:
    """Lower-case `value`, turn runs of other characters into `_`, trim: the slug of roles and split tables."""
    return _NOT_SLUG.sub("_", value.lower()).strip("_")[:MAX_SLUG].rstrip("_") or "unnamed"


def is_uuid(value: str) -> bool:
    """Tell whether `value` has the shape of a UUID, in either case."""
    return _UUID.fullmatch(value) is not None


def _quote(value: str) -> str:
    shown = value if len(value) <= 80 else value[:77] + "..."  # noqa: PLR2004 a bound for error messages
    return repr(shown)
