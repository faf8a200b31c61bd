"""Which webhooks a list shows: the filters of `GET /webhooks`, as query parameters and as what they mean."""

from collections.abc import Callable, Mapping
from typing import Any

from ingress.api.call import Call
from ingress.api.routes import Query
from schemas.backing.registry import WebhookRecord
from schemas.definitions.webhook import EntityReference, WebhookStatus, WebhookType

FILTERS = (
    Query("status", "string", "those of this status", maximum=32),
    Query("enabled", "boolean", "those that are, or are not"),
    Query("webhookType", "string", "those of this type", maximum=32),
    Query("entityType", "string", "those with a filter that names this entity type or `*`", maximum=256),
    Query("owner", "string", "those whose owner has this id or name", maximum=256),
    Query("domain", "string", "those whose domain has this id or name", maximum=256),
    Query("tag", "string", "those with this tagFQN", maximum=256),
    Query("q", "string", "those whose name begins so", maximum=64),
)


def wanted_by(call: Call) -> Callable[[WebhookRecord], bool]:
    """Return what tells whether a webhook meets every filter of the query."""
    status, kind = call.chosen("status", WebhookStatus), call.chosen("webhookType", WebhookType)
    query = call.query
    enabled, entity, tag = query.get("enabled"), query.get("entityType"), query.get("tag")
    owner, domain = query.get("owner"), query.get("domain")

    def wanted(record: WebhookRecord) -> bool:
        given = record.definition
        entities = {each for event in given.event_filters for each in event.entities}
        return (
            (status is None or record.status is status)
            and (kind is None or given.webhook_type is kind)
            and (enabled is None or given.enabled is enabled)
            and (entity is None or entity in entities or "*" in entities)
            and (tag is None or any(each.tag_fqn == tag for each in given.tags))
            and (owner is None or _is(given.owner, owner, record.owner))
            and (domain is None or _is(given.domain, domain))
        )

    return wanted


def _is(reference: EntityReference | None, named: str, now: Mapping[str, Any] | None = None) -> bool:
    if reference is None:
        return False
    names = {reference.id, reference.name, reference.fully_qualified_name, (now or {}).get("name")}
    return named in names
