"""An outbound message, ready to be posted: the payload in the webhook's form, its headers, its signatures.

Lives here: what all forms share. Pure, and the same bytes for the same arguments. Not here: who is told of what
(match), the call (schemas/backing/egress). Forms: README.md.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from schemas.definitions.notification import WebhookView
from schemas.definitions.webhook import MASK, RESERVED_HEADERS, WebhookType
from schemas.wire.entity_event import EntityEvent
from sinks.notify import signing
from sinks.notify.formats import generic, google_chat, msteams, slack
from sinks.notify.outgoing import Outgoing

Payload = Callable[[WebhookView, Sequence[EntityEvent], str], bytes]
_PAYLOADS: Mapping[WebhookType, Payload] = {
    WebhookType.GENERIC: generic.payload,
    WebhookType.CUSTOM: generic.payload,
    WebhookType.SLACK: slack.payload,
    WebhookType.MS_TEAMS: msteams.payload,
    WebhookType.GOOGLE_CHAT: google_chat.payload,
}
_PROOFS = frozenset({"webhook-signature", "x-openmetadata-signature", "x-om-signature"})


def render(
    webhook: WebhookView,
    events: Sequence[EntityEvent],
    *,
    message_id: str,
    now_s: int,
    endpoint: str,
    base_url: str = "",
) -> Outgoing:
    """Return the message of one attempt: `message_id` the delivery's, `now_s` the attempt's, `endpoint` the lane's.

    `webhook.secrets` are those alive now, newest first. `base_url` is the API's: chats link an entity by it.
    Raises ValueError without an event.
    """
    if not events:
        raise ValueError("a message tells of one event at least")
    body = _PAYLOADS[webhook.definition.webhook_type](webhook, events, base_url)
    ours = (
        ("Content-Type", "application/json"),
        ("User-Agent", _agent()),
        *signing.headers([secret.value for secret in webhook.secrets], message_id, now_s, body),
    )
    given = webhook.definition.webhook_config.headers
    added = tuple((name, value) for name, value in given.items() if name.lower() not in RESERVED_HEADERS)
    shown = tuple((name, MASK if name.lower() in _PROOFS else value) for name, value in ours)
    return Outgoing(endpoint, (*ours, *added), body, (*shown, *((name, MASK) for name, _ in added)))


@cache
def _agent() -> str:
    try:
        return f"Hookberg-Webhooks/{version('hookberg')}"
    except PackageNotFoundError:
        return "Hookberg-Webhooks/0"
