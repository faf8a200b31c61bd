"""Zendesk webhooks: base64 HMAC over the ISO 8601 time followed by the body.

Facts: https://developer.zendesk.com/documentation/webhooks/verifying (time first, then body; an old revision had it the
other way round). The secret that Zendesk uses for tests before a webhook exists is public: never add it.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Freshness, Scheme
from schemas.vendors import read
from schemas.vendors.base import HOUR_S, Facts, Headers, Vendor

_TIME = "X-Zendesk-Webhook-Signature-Timestamp"


def event_key(headers: Headers, _body: bytes) -> str | None:
    """Return the invocation's id: the same for each attempt of it."""
    return headers.get("x-zendesk-webhook-invocation-id") or None


def facts(item: Mapping[str, Any], headers: Headers) -> Facts:
    """Return type and time of an event webhook; a trigger's body is the customer's own and may have neither."""
    return Facts(
        event_type=read.text(item, "type"),
        vendor_event_id=event_key(headers, b""),
        event_time_ms=read.epoch_ms(item.get("time")),
        source_identifier=read.text(item, "account_id") or headers.get("x-zendesk-account-id"),
    )


ZENDESK = Vendor(
    name="zendesk",
    title="Zendesk",
    docs="https://developer.zendesk.com/documentation/webhooks",
    auth=Scheme(
        name="zendesk",
        algorithm="sha256",
        message=f"{{h.{_TIME}}}{{body}}",
        container=Container("bare", "X-Zendesk-Webhook-Signature", encoding="base64"),
        freshness=Freshness("header", _TIME, unit="iso"),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    deadline_s=12.0,
    retry_span_s=HOUR_S,
    overload="queue",  # three tries within minutes, then a circuit opens
    setup=(
        "Admin Center, Apps and integrations, Webhooks, Create webhook.",
        "Endpoint URL: the source's secret URL; method POST, format JSON.",
        "Open the webhook, Reveal secret, and copy it into the source (not the one of the test before it was saved).",
    ),
)
