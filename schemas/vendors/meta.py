"""Meta (Graph API, Messenger, Instagram) and WhatsApp: `X-Hub-Signature-256` over the body, changes in entries.

Facts: https://developers.facebook.com/docs/graph-api/webhooks/getting-started. The GET that registers the URL is
unsigned and proves itself by a verify token, which is one of the source's secrets, written `verify_token:…`.
"""

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Answer, Facts, Handshake, Headers, Hello, Vendor

_MAX_CHALLENGE = 1024
_FORBIDDEN = 403


def subscribe(hello: Hello) -> Answer | None:
    """Echo `hub.challenge` where `hub.verify_token` is one of the source's tokens, else 403."""
    challenge, token = hello.query.get("hub.challenge"), hello.query.get("hub.verify_token", "")
    if hello.query.get("hub.mode") != "subscribe" or not challenge or len(challenge) > _MAX_CHALLENGE:
        return None
    said = token.encode("utf-8", "surrogatepass")
    if any(known and hmac.compare_digest(said, known.encode("utf-8", "surrogatepass")) for known in hello.tokens):
        return Answer(200, challenge.encode("utf-8", "replace"), "text/plain; charset=utf-8")
    return Answer(_FORBIDDEN, b"the verify token is not one of this source's", "text/plain; charset=utf-8")


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return a change's field as type, its messages' ids (a status with its value) and the first time in it."""
    value = read.inner(item, "value")
    messages, statuses = value.get("messages"), value.get("statuses")
    ids = [each.get("id") for each in messages if isinstance(each, Mapping)] if isinstance(messages, list) else []
    if isinstance(statuses, list):
        ids += [
            read.joined(":", read.text(s, "id"), read.text(s, "status")) for s in statuses if isinstance(s, Mapping)
        ]
    known = [one for one in ids if isinstance(one, str) and one]
    ids_said = known or [mid for mid in (read.at(item, "message", "mid"),) if mid]
    moment = read.first(value, "messages") or read.first(value, "statuses")
    return Facts(
        event_type=read.text(item, "field") or next((name for name in _MESSENGER if name in item), None),
        vendor_event_id=",".join(ids_said) if ids_said and len(known) == len(ids) else None,
        event_time_ms=read.digits_ms(moment.get("timestamp")) or read.whole_ms(item.get("timestamp")),
        source_identifier=read.at(value, "metadata", "phone_number_id"),
    )


def within(facts: Facts, entry: Mapping[str, Any]) -> Facts:
    """Take account and time of the entry where the change itself says none."""
    return replace(
        facts,
        source_identifier=facts.source_identifier or read.text(entry, "id"),
        event_time_ms=facts.event_time_ms or read.epoch_ms(entry.get("time")),
    )


_MESSENGER = ("message", "delivery", "read", "postback", "reaction", "optin", "referral")
META = Vendor(
    name="meta",
    title="Meta",
    docs="https://developers.facebook.com/docs/graph-api/webhooks",
    auth=Scheme(
        name="meta",
        algorithm="sha256",
        message="{body}",
        container=Container("prefix", "X-Hub-Signature-256", tag="sha256="),
    ),
    facts=facts,
    within=within,
    split=("/entry/*/changes/*", "/entry/*/messaging/*"),
    handshakes=(Handshake(("GET",), signed=False, reply=subscribe),),
    success=Answer(200),
    deadline_s=10.0,
    retry_span_s=7 * DAY_S,
    overload="reject",
    overload_status=503,
    setup=(
        "developers.facebook.com, your app, App settings, Basic: copy the app secret into the source.",
        "Add a second secret to the source: verify_token: followed by a random text.",
        "Webhooks (WhatsApp: WhatsApp, Configuration): Callback URL = the source's secret URL.",
        "Verify token: the random text alone; Verify and save; subscribe to the fields.",
    ),
)
WHATSAPP = replace(
    META, name="whatsapp", title="WhatsApp", docs="https://developers.facebook.com/docs/whatsapp/webhooks"
)
