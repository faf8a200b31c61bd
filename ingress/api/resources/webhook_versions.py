"""`/webhooks/{id}/versions`: what a webhook was before, as OpenMetadata answers it."""

from ingress.api.call import Answer, Call
from ingress.api.resources import shapes, webhook_wire
from ingress.api.routes import Route
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.webhook_entity import WebhookEntity

_READ = Permission.WEBHOOKS_READ


class WebhookHistory(Definition):
    """Versions of a webhook, the newest first; each as it was when it was made."""

    entity_type: str
    versions: list[WebhookEntity]
    next_cursor: str | None


async def list_webhook_versions(call: Call) -> Answer:
    """List the versions of a webhook, deleted or not."""
    webhooks = call.env.registry.webhooks
    page = await call.threads.run(webhooks.versions, call.tenant, call.path["uuid"], call.page)
    versions = [webhook_wire.located(call, told) for told in page.items]
    return Answer({"entityType": "webhook", "versions": versions, "nextCursor": page.next_cursor})


async def get_webhook_version(call: Call) -> Answer:
    """Show a webhook as it was at a version."""
    webhooks = call.env.registry.webhooks
    told = await call.threads.run(webhooks.version, call.tenant, call.path["uuid"], call.named("version"))
    return Answer(webhook_wire.located(call, told))


ROUTES = (
    Route("GET", "/webhooks/{uuid}/versions", list_webhook_versions, "List the versions of a webhook", _READ,
          WebhookHistory, query=shapes.PAGE),
    Route("GET", "/webhooks/{uuid}/versions/{version}", get_webhook_version, "Show a version of a webhook", _READ,
          WebhookEntity),
)  # fmt: skip
