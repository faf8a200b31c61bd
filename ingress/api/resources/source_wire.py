"""How a source looks in answers: its definition without secrets, where it listens, its secrets' dates, its counters."""

from datetime import datetime
from typing import Any, Optional
from urllib.parse import quote

from pydantic import create_model

from ingress.api.call import Call
from ingress.api.resources import shapes
from schemas.backing.registry import SourceRecord
from schemas.definitions.alert import AlertKind
from schemas.definitions.auth import Auth
from schemas.definitions.auth_any import KINDS
from schemas.definitions.base import Definition
from schemas.definitions.source import SourceDefinition
from schemas.errors import HookbergError


class SecretShown(Definition):
    """A secret of a source, without its value: watch `lastUsedAt` move while rotating."""

    id: str
    created_at: datetime
    last_used_at: datetime | None


class UrlShown(Definition):
    """A secret URL of a source, without its token: `lastUsedAt` moves to the new one while rotating."""

    id: str
    created_at: datetime
    last_used_at: datetime | None


class Stats(Definition):
    """Counters of a source since it was made.

    `shed`: those of `eventsReceived` that the overload policy `shed` has let go, a marker of each stored.
    `waiting`: raw records that wait while it is paused, seconds old; null: not paused, not told (lists), Kafka is away.
    """

    events_received: int
    last_event_at: datetime | None
    rejected: int
    rejected_by_reason: dict[str, int]
    handshakes: int
    shed: int
    degraded: bool
    waiting: int | None


class SourceBase(shapes.Stamped):
    """A source."""

    topic: str
    open: bool
    secrets: list[SecretShown]
    urls: list[UrlShown]
    stats: Stats


def _shown() -> type[Definition]:
    """Make what is shown of an auth: its type, and the fields of whichever type it is but its secrets."""
    found: dict[str, Any] = {}
    kinds: tuple[type[Auth], ...] = (Auth, *KINDS.values())
    for kind in kinds:
        for name, field in kind.model_fields.items():
            if name not in {"type", "secrets"}:
                found[name] = (Optional[field.annotation], None)  # noqa: UP045 an annotation known at run time only
    doc = "How senders prove themselves; secrets are never shown."
    return create_model("AuthShown", __base__=Definition, __doc__=doc, type=(str, ...), **found)


def _fields(skip: str) -> dict[str, Any]:
    return {name: (field.annotation, field) for name, field in SourceDefinition.model_fields.items() if name != skip}


SourceAnswer: type[SourceBase] = create_model(  # the definition's members beside ours, so they cannot differ
    "SourceAnswer", __base__=SourceBase, __doc__="A source.", auth=(_shown(), ...), **_fields("auth")
)
SourceCreated: type[SourceBase] = create_model(
    "SourceCreated",
    __base__=SourceAnswer,
    __doc__="A source with its ingest URL, shown this once.",
    ingest_url=(str | None, ...),
)


async def wire(call: Call, record: SourceRecord, *, alone: bool = False) -> dict[str, Any]:
    """Return a source as answered; reads its secrets' and URLs' dates and its counters, `alone` also what waits."""
    return await call.threads.run(_wire, call, record, alone=alone)


def _waiting(call: Call, record: SourceRecord) -> int | None:
    topic, lags = call.env.view.current().topics.get(record.topic), call.env.lags
    if topic is None or lags is None:
        return None
    try:
        return sum(lags.waiting([topic]).values())
    except HookbergError:  # Kafka is away: the source is shown all the same
        return None


def _wire(call: Call, record: SourceRecord, *, alone: bool) -> dict[str, Any]:
    registry = call.env.registry
    tally = registry.tallies.read(record.id)
    definition: SourceDefinition = record.definition
    rejected = sum(tally.refused.values())
    return {
        **definition.to_wire(),
        "name": record.name,
        "auth": definition.auth.shown(),
        "partitioning": record.partitioning,
        "id": record.id,
        "tenantId": record.tenant_id,
        "version": record.version,
        "createdAt": shapes.instant(record.created_at_ms),
        "updatedAt": shapes.instant(record.updated_at_ms),
        "topic": record.topic,
        "open": record.open,
        "secrets": [
            {
                "id": secret.id,
                "createdAt": shapes.instant(secret.created_at_ms),
                "lastUsedAt": shapes.instant(secret.last_used_at_ms),
            }
            for secret in registry.sources.secrets(record.tenant, record.id)
        ],
        "urls": [
            {
                "id": url.id,
                "createdAt": shapes.instant(url.created_at_ms),
                "lastUsedAt": shapes.instant(url.last_used_at_ms),
            }
            for url in registry.sources.urls(record.tenant, record.id)
        ],
        "stats": {
            "eventsReceived": tally.accepted,
            "lastEventAt": shapes.instant(tally.last_event_at_ms),
            "rejected": rejected,
            "rejectedByReason": dict(tally.refused),
            "handshakes": tally.handshakes,
            "shed": tally.shed,
            "degraded": _degraded(definition, tally.accepted, rejected)
            or bool(registry.alerts.opened(AlertKind.QUARANTINE, [record.id])),
            "waiting": _waiting(call, record) if alone and definition.paused else None,
        },
    }


def _degraded(definition: SourceDefinition, accepted: int, rejected: int) -> bool:
    ratio = definition.flood.ratio
    return ratio is not None and rejected > 0 and rejected / (accepted + rejected) >= ratio


def secret_url(call: Call, record: SourceRecord, token: str) -> str:
    """Return the secret URL of a token, as vendors reach it: those with client certificates at the TLS listener."""
    given = call.env.settings
    tls = given.public_tls_ingest_url if record.definition.auth.type == "mtls" else None
    return f"{tls or given.public_ingest_url}/in/{token}"


def plain_url(call: Call, record: SourceRecord) -> str:
    """Return the ingest path of a source whose senders bring an API key."""
    base = call.env.settings.public_ingest_url
    return f"{base}/api/v1/webhooks/{record.definition.platform}?source={quote(record.name)}"
