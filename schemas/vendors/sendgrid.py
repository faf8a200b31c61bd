"""SendGrid's Event Webhook: ECDSA P-256 over the time and the raw body, batches of up to hundreds of events.

Facts: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features.
The body ends with CRLF: whatever strips it breaks the signature. The source's secret is SendGrid's public key.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Freshness, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Facts, Headers, Vendor

_TIME = "X-Twilio-Email-Event-Webhook-Timestamp"


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return event, time and sg_event_id, which some events do not have."""
    return Facts(
        event_type=read.text(item, "event"),
        vendor_event_id=read.text(item, "sg_event_id"),
        event_time_ms=read.epoch_ms(item.get("timestamp")),
        correlation_id=read.text(item, "sg_message_id"),
    )


SENDGRID = Vendor(
    name="sendgrid",
    title="SendGrid",
    docs="https://www.twilio.com/docs/sendgrid/for-developers/tracking-events",
    auth=Scheme(
        name="sendgrid",
        algorithm="ecdsa-p256",
        message=f"{{h.{_TIME}}}{{body}}",
        container=Container("bare", "X-Twilio-Email-Event-Webhook-Signature", encoding="base64"),
        key="spki",
        freshness=Freshness("header", _TIME),
    ),
    facts=facts,
    deadline_s=10.0,
    retry_span_s=DAY_S,
    overload="reject",
    setup=(
        "Settings, Mail Settings, Event Webhooks, Create new webhook.",
        "Post URL: the source's secret URL; choose the actions.",
        "Security features: Enable Signed Event Webhook, save, and copy the Verification Key into the source.",
    ),
)
