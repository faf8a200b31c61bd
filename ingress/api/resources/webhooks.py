"""`/webhooks`: outbound webhooks, OpenMetadata's entity. `/webhooks/{platform}` beside it is ingest (ingress)."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ingress.api import json_patch, merge_patch, paging
from ingress.api.again import again
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes, webhook_filters, webhook_wire
from ingress.api.routes import Query, Route
from schemas.backing.registry import Include, WebhookRecord
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.webhook_entity import WebhookEntity
from schemas.errors import Refused
from schemas.reasons import Reason

_READ, _WRITE = Permission.WEBHOOKS_READ, Permission.WEBHOOKS_WRITE
INCLUDE = Query("include", "string", "`non-deleted` (default), `deleted` or `all`", maximum=16)
FIELDS = Query("fields", "string", "taken for OpenMetadata's clients: every field is always shown", maximum=256)
_HARD = (
    Query("hardDelete", "boolean", "for ever, with versions, secrets and the log of deliveries"),
    Query("recursive", "boolean", "taken for OpenMetadata's clients: nothing is below a webhook"),
)
_PATCHES = (json_patch.MEDIA_TYPE, merge_patch.MEDIA_TYPE)
_REFUSED = (Reason.NAME_TAKEN, Reason.TOO_MANY_WEBHOOKS, Reason.IMMUTABLE)
_SECRET = "/webhookConfig/secretKey"  # noqa: S105 a pointer
_EXAMPLE = {
    "name": "slack-tables",
    "webhookType": "Slack",
    "eventFilters": [{"eventType": "entityUpdated", "entities": ["table"], "include": ["snapshot"]}],
    "webhookConfig": {"endpoint": "https://hooks.slack.com/services/T000/B000/secret"},
}


class WebhookPage(Definition):
    """One page of webhooks."""

    items: list[WebhookEntity]
    next_cursor: str | None


class RestoreRequest(Definition):
    """What `PUT /webhooks/restore` takes."""

    id: str = Field(min_length=1, max_length=128)


async def list_webhooks(call: Call) -> Answer:
    """List webhooks by name."""
    wanted = webhook_filters.wanted_by(call)
    webhooks = call.env.registry.webhooks
    page = await call.threads.run(
        webhooks.list, call.tenant, call.page, wanted, prefix=call.query.get("q", ""), include=_include(call)
    )
    return Answer(paging.page([webhook_wire.shown(call, record) for record in page.items], page.next_cursor))


async def create_webhook(call: Call) -> Answer:
    """Make a webhook."""
    return await _create(call)


async def put_webhook(call: Call) -> Answer:
    """Make a webhook, or replace the one of this name."""
    return await again(call, _put)


async def _put(call: Call) -> Answer:
    record = await _named(call)
    if record is not None:
        return await _replace(call, record)
    if call.if_match is not None:
        raise Refused(Reason.PRECONDITION_FAILED, "there is no such webhook")
    try:
        return await _create(call)
    except Refused as exc:
        record = await _named(call) if exc.reason is Reason.NAME_TAKEN else None
        if record is None:
            raise
        return await _replace(call, record)  # another call made it meanwhile


async def _named(call: Call) -> WebhookRecord | None:
    """Return the webhook that a body names; None when there is none, or a deleted one."""
    name = call.value.get("name")
    try:
        return await _find(call, name) if isinstance(name, str) else None
    except Refused as exc:
        if exc.reason is not Reason.NOT_FOUND:
            raise
        return None


async def put_webhook_by_id(call: Call) -> Answer:
    """Replace a webhook."""
    return await again(call, _put_by_id)


async def _put_by_id(call: Call) -> Answer:
    return await _replace(call, await _find(call, call.path["uuid"]))


async def get_webhook(call: Call) -> Answer:
    """Show a webhook."""
    return _answer(call, await _find(call, call.path["uuid"], _include(call)))


async def get_webhook_by_name(call: Call) -> Answer:
    """Show the webhook of a name, or of a fullyQualifiedName."""
    return _answer(call, await _find(call, call.named("name"), _include(call)))


async def patch_webhook(call: Call) -> Answer:
    """Change members of a webhook."""
    return await again(call, _patch)


async def _patch(call: Call) -> Answer:
    record = await _find(call, call.path["uuid"])
    before = webhook_wire.shown(call, record)
    patched = json_patch if isinstance(call.value, list) else merge_patch
    after = patched.apply(before, call.value)
    if not isinstance(after, dict):
        raise shapes.refuse("", "the patch leaves no object")
    config = after.get("webhookConfig")
    if isinstance(config, dict) and _takes_secret_out(call.value):
        after["webhookConfig"] = {"secretKey": None, **config}
    return await _update(call, record, after, before, whole=True)


def _takes_secret_out(patch: Any) -> bool:  # noqa: ANN401 JSON
    """Tell whether a patch says that the secret is to go; one that only leaves it out keeps it."""
    if isinstance(patch, list):
        return any(each["path"] == _SECRET and each["op"] == "remove" for each in patch)
    config = patch.get("webhookConfig")
    return isinstance(config, dict) and "secretKey" in config and config["secretKey"] is None


async def delete_webhook(call: Call) -> Answer:
    """Delete a webhook: it is disabled and hidden until it is restored, or gone for ever."""
    webhooks, hard = call.env.registry.webhooks, call.query.get("hardDelete", False)
    record = await _find(call, call.path["uuid"], Include.ALL if hard else Include.NON_DELETED)
    expected = call.expected(record.version) if call.if_match is not None else None
    act = webhooks.delete if hard else webhooks.remove
    return _answer(call, await call.threads.run(act, call.tenant, record.id, if_match=expected, actor=call.actor))


async def restore_webhook(call: Call) -> Answer:
    """Take a soft delete back."""
    return await _restore(call, call.path["uuid"])


async def put_restored_webhook(call: Call) -> Answer:
    """Take a soft delete back, as OpenMetadata's clients ask for it."""
    wanted = call.value.get("id")
    if not isinstance(wanted, str) or set(call.value) != {"id"}:
        raise shapes.refuse("/id", "give the webhook's id and nothing else")
    return await _restore(call, wanted)


async def _restore(call: Call, webhook_id: str) -> Answer:
    record = await _find(call, webhook_id, Include.ALL)
    expected = call.expected(record.version) if call.if_match is not None else None
    restore = call.env.registry.webhooks.restore
    return _answer(call, await call.threads.run(restore, call.tenant, record.id, if_match=expected, actor=call.actor))


async def _find(call: Call, named: str, include: Include = Include.NON_DELETED) -> WebhookRecord:
    return await call.threads.run(call.env.registry.webhooks.get, call.tenant, named, include)


async def _create(call: Call) -> Answer:
    definition = webhook_wire.taken(call, call.value, None)
    record = await call.threads.run(call.env.registry.webhooks.create, call.tenant, definition, actor=call.actor)
    return Answer(
        webhook_wire.shown(call, record),
        status=201,
        version=record.version,
        headers={"Location": f"/api/v1/webhooks/{record.id}"},
    )


async def _replace(call: Call, record: WebhookRecord) -> Answer:
    if call.create_only:
        raise Refused(Reason.PRECONDITION_FAILED, "the webhook exists")
    return await _update(call, record, call.value, webhook_wire.shown(call, record))


async def _update(
    call: Call, record: WebhookRecord, value: Mapping[str, Any], standing: Mapping[str, Any], *, whole: bool = False
) -> Answer:
    expected = call.expected(record.version)
    definition = webhook_wire.taken(call, value, standing, whole=whole)
    overlap_s = call.env.settings.notify_secret_overlap_s
    updated = await call.threads.run(
        call.env.registry.webhooks.update,
        call.tenant,
        record.id,
        definition,
        overlap_s=overlap_s,
        if_match=expected,
        actor=call.actor,
    )
    return Answer(webhook_wire.shown(call, updated), status=200, version=updated.version)


def _answer(call: Call, record: WebhookRecord) -> Answer:
    return Answer(webhook_wire.shown(call, record), version=record.version)


def _include(call: Call) -> Include:
    return call.chosen("include", Include) or Include.NON_DELETED


_NO_UUID = (Reason.METHOD_NOT_ALLOWED,)
"""What stands there in place of a UUID is a platform, whose path takes POST, and GET for handshakes."""
ROUTES = (
    Route("GET", "/webhooks", list_webhooks, "List outbound webhooks", _READ, WebhookPage,
          query=(*webhook_filters.FILTERS, INCLUDE, FIELDS, *shapes.PAGE)),
    Route("POST", "/webhooks", create_webhook, "Make an outbound webhook", _WRITE, WebhookEntity, status=201,
          takes=WebhookEntity, refusals=_REFUSED, example=_EXAMPLE),
    Route("PUT", "/webhooks", put_webhook, "Make or replace an outbound webhook by its name", _WRITE, WebhookEntity,
          takes=WebhookEntity, refusals=_REFUSED, also={201: WebhookEntity}, example=_EXAMPLE),
    Route("PUT", "/webhooks/restore", put_restored_webhook, "Restore a deleted webhook", _WRITE, WebhookEntity,
          takes=RestoreRequest),
    Route("GET", "/webhooks/name/{name}", get_webhook_by_name, "Show an outbound webhook by name", _READ,
          WebhookEntity, query=(INCLUDE, FIELDS)),
    Route("GET", "/webhooks/{uuid}", get_webhook, "Show an outbound webhook", _READ, WebhookEntity,
          query=(INCLUDE, FIELDS), refusals=_NO_UUID),
    Route("PUT", "/webhooks/{uuid}", put_webhook_by_id, "Replace an outbound webhook", _WRITE, WebhookEntity,
          takes=WebhookEntity, refusals=(*_REFUSED, *_NO_UUID), example=_EXAMPLE),
    Route("PATCH", "/webhooks/{uuid}", patch_webhook, "Change an outbound webhook", _WRITE, WebhookEntity,
          takes=WebhookEntity, refusals=(*_REFUSED, *_NO_UUID, Reason.PATCH_CONFLICT), patches=_PATCHES),
    Route("DELETE", "/webhooks/{uuid}", delete_webhook, "Delete an outbound webhook; restorable unless hardDelete",
          _WRITE, WebhookEntity, query=_HARD, refusals=(*_NO_UUID, Reason.IN_USE)),
    Route("POST", "/webhooks/{uuid}/restore", restore_webhook, "Restore a deleted webhook", _WRITE, WebhookEntity,
          refusals=(Reason.PRECONDITION_FAILED,)),
)  # fmt: skip
