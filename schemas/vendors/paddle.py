"""Paddle webhooks: `ts=…;h1=…` over time and body, several h1 while a secret is rotated, 5 s of tolerance.

Facts: https://developer.paddle.com/webhooks/signature-verification. The same event has another notification_id at each
destination, so that is no part of its content.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Freshness, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Facts, Headers, Vendor

event_key = read.body_key("event_id")


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return type, id and time; what the event is about is its entity."""
    return Facts(
        event_type=read.text(item, "event_type"),
        vendor_event_id=read.text(item, "event_id"),
        event_time_ms=read.epoch_ms(item.get("occurred_at")),
        source_identifier=read.at(item, "data", "id"),
    )


PADDLE = Vendor(
    name="paddle",
    title="Paddle",
    docs="https://developer.paddle.com/webhooks/overview",
    auth=Scheme(
        name="paddle",
        algorithm="sha256",
        message="{p.ts}:{body}",
        container=Container("kv", "Paddle-Signature", tag="h1", timestamp="ts", separator=";"),
        freshness=Freshness("param", "ts", past_s=5, future_s=5),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    volatile=("/notification_id",),
    deadline_s=5.0,
    retry_span_s=3 * DAY_S,
    overload="reject",
    overload_status=503,
    setup=(
        "Developer tools, Notifications, New destination, type Webhook.",
        "URL: the source's secret URL; choose the events and save.",
        "Edit destination: copy the secret key (pdl_ntfset_…) into the source.",
        "Paddle's time may be 5 s off: keep the clock in step (NTP), or set auth.toleranceSeconds.",
    ),
)
