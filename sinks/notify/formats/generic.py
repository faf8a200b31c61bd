"""Generic and Custom: the event as JSON, in OpenMetadata's words (spec section 10).

Lives here: members, order, the member `signature`. Custom is the same payload: OpenMetadata keeps the word for own
applications, which read what Generic sends; headers of one's own come with either.
"""

from collections.abc import Sequence

import orjson

from schemas.definitions.notification import WebhookView
from schemas.wire.entity_event import EntityEvent
from sinks.notify import signing


def payload(webhook: WebhookView, events: Sequence[EntityEvent], base_url: str) -> bytes:  # noqa: ARG001 as all forms
    """Return one object where batchSize is 1, else an array, of one event too.

    An older message of several events is an array though batchSize is 1 now: it is sent as it was put together.
    """
    secret = next((each.value for each in webhook.secrets if each.value), None)
    objects = [_object(webhook.name, event, secret) for event in events]
    if webhook.definition.batch_size == 1 and len(objects) == 1:
        return objects[0]
    return b"[" + b",".join(objects) + b"]"


def _object(name: str, event: EntityEvent, secret: bytes | None) -> bytes:
    """Return the event; its last member signs the object's bytes as they are without it, closing brace and all."""
    plain = orjson.dumps({**event.to_wire(), "webhookName": name})
    if secret is None:
        return plain
    return plain[:-1] + b',"signature":"' + signing.member(secret, plain) + b'"}'
