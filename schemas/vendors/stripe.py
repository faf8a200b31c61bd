"""Stripe events: `t=…,v1=…` over time and body, id and type in the body, retries for three days.

Facts: https://docs.stripe.com/webhooks (verify manually, retry behaviour) and https://docs.stripe.com/api/events.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Freshness, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Facts, Headers, Vendor

event_key = read.body_key("id")  # evt_…


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return id, type and time (`created`: epoch seconds, RFC 3339 in v2 events); the account is Connect's."""
    return Facts(
        event_type=read.text(item, "type"),
        vendor_event_id=read.text(item, "id"),
        event_time_ms=read.epoch_ms(item.get("created")),
        source_identifier=read.text(item, "account", "context"),
        correlation_id=read.text(read.inner(item, "request"), "idempotency_key"),
    )


STRIPE = Vendor(
    name="stripe",
    title="Stripe",
    docs="https://docs.stripe.com/webhooks",
    auth=Scheme(
        name="stripe",
        algorithm="sha256",
        message="{p.t}.{body}",  # the whole whsec_ text is the key
        container=Container("kv", "Stripe-Signature", tag="v1", timestamp="t"),
        freshness=Freshness("param", "t"),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    volatile=("/pending_webhooks",),
    deadline_s=10.0,
    retry_span_s=3 * DAY_S,
    overload="reject",
    setup=(
        "Dashboard, Developers, Webhooks, Add destination.",
        "Endpoint URL: the source's ingest URL; choose the events.",
        "Copy the signing secret (whsec_…) into the source; add the new one before the old one ends when you roll it.",
    ),
)
