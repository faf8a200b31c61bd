"""Webhooks on the wire: what an answer shows, and what a body may say of members that are not the caller's."""

from collections.abc import Mapping
from typing import Any

from ingress.api import reading
from ingress.api.call import Call
from ingress.api.resources import shapes
from schemas.backing.egress import Guard
from schemas.backing.registry import WebhookRecord
from schemas.definitions import entity_version
from schemas.definitions.webhook import MASK, READ_ONLY, WebhookDefinition


def shown(call: Call, record: WebhookRecord) -> dict[str, Any]:
    """Return the entity; `href` and those of its references begin with `public_api_url`."""
    told = record.to_wire()
    owner, fallback = told["owner"], told["fallback"]
    if record.owner is not None:
        told["owner"] = {**owner, "href": href(call, "contacts", owner["id"])}
    if fallback is not None:
        told["fallback"] = {**fallback, "href": href(call, "webhooks", fallback["id"])}
    return located(call, told)


def located(call: Call, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entity with its own address."""
    return {**told, "href": href(call, "webhooks", told["id"])}


def href(call: Call, resource: str, entity_id: str) -> str:
    """Return the address of an entity of ours."""
    return f"{call.env.settings.public_api_url}/api/v1/{resource}/{entity_id}"


def taken(
    call: Call, value: Mapping[str, Any], standing: Mapping[str, Any] | None, *, whole: bool = False
) -> WebhookDefinition:
    """Return the definition that a body gives; `standing` is the entity as it is, None = it is to be made.

    Read-only members are taken when they say what stands; where the body is not `whole`, null is none too. Raises
    `Refused(invalid_definition)` with pointers.
    """
    stands = _coming(call, value) if standing is None else standing
    for name, why in READ_ONLY.items():
        given = value.get(name)
        if given != stands.get(name) and (whole or given is not None):
            raise shapes.refuse(f"/{name}", f"{why}: leave it as it is")
    definition = reading.definition(
        WebhookDefinition, {name: each for name, each in value.items() if name not in READ_ONLY}
    )
    if standing is None and definition.secret == MASK:
        raise shapes.refuse("/webhookConfig/secretKey", "this is what stands for a secret in answers: give the secret")
    check_endpoint(call, "/webhookConfig/endpoint", definition.webhook_config.endpoint)
    return definition


def check_endpoint(call: Call, pointer: str, url: str | None) -> None:
    """Refuse an endpoint that would not be called, in words that name the setting which allows it."""
    refusal = Guard.for_webhooks(call.env.settings).refusal(url) if url is not None else None
    if refusal is not None:
        raise shapes.refuse(pointer, refusal)


def _coming(call: Call, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the read-only members of a webhook will be that is made by this body."""
    return {
        "fullyQualifiedName": f"{call.tenant}.{value.get('name')}",
        "status": "active" if value.get("enabled", True) else "disabled",
        "version": entity_version.shown(entity_version.FIRST),
        "deleted": False,
    }
