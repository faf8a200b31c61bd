"""Generic and Custom: the event as JSON, in OpenMetadata's words (spec section 10).

Lives here: members, order, the member `signature`. Custom is the same payload: OpenMetadata keeps the word for own
applications, which read what Generic sends; headers of one's own come with either.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from schemas.definitions.notification import WebhookView
from schemas.wire.entity_event import EntityEvent
from sinks.notify import signing


def payload(webhook: WebhookView, events: Sequence[EntityEvent], base_url: str) -> bytes:
    """Return one object where batchSize is 1, else an array, of one event too.

    An older message of several events is an array though batchSize is 1 now: it is sent as it was put together. An
    `href` that is a path is one below `base_url`, the API's.
    """
    secret = next((each.value for each in webhook.secrets if each.value), None)
    objects = [_object(webhook.name, _told(event, base_url), secret) for event in events]
    if webhook.definition.batch_size == 1 and len(objects) == 1:
        return objects[0]
    return b"[" + b",".join(objects) + b"]"


def _told(event: EntityEvent, base_url: str) -> dict[str, Any]:
    told, href = event.to_wire(), event.entity.get("href")
    if base_url and isinstance(href, str) and href.startswith("/"):
        told["entity"] = {**told["entity"], "href": f"{base_url}{href}"}
    return told


def _object(name: str, told: Mapping[str, Any], secret: bytes | None) -> bytes:
    """Return the event; its last member signs the object's bytes as they are without it, closing brace and all."""
    plain = orjson.dumps({**told, "webhookName": name})
    if secret is None:
        return plain
    return plain[:-1] + b',"signature":"' + signing.member(secret, plain) + b'"}'
