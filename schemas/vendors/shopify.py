"""Shopify webhooks: base64 HMAC over the body with the app's client secret; everything else stands in headers.

Facts: https://shopify.dev/docs/apps/build/webhooks (https, best practices). An event goes out once per subscription, so
its id counts together with the topic. "Send test notification" of the admin is signed with another secret.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import HOUR_S, Facts, Headers, Vendor


def event_key(headers: Headers, _body: bytes) -> str | None:
    """Return topic and event id, else the delivery's id; both are stable over retries."""
    topic, event = headers.get("x-shopify-topic"), headers.get("x-shopify-event-id")
    return f"{topic}:{event}" if topic and event else headers.get("x-shopify-webhook-id") or None


def facts(_item: Mapping[str, Any], headers: Headers) -> Facts:
    """Return topic, ids, trigger time and shop, all from headers."""
    return Facts(
        event_type=headers.get("x-shopify-topic") or None,
        vendor_event_id=event_key(headers, b""),
        event_time_ms=read.epoch_ms(headers.get("x-shopify-triggered-at")),
        source_identifier=headers.get("x-shopify-shop-domain") or None,
    )


SHOPIFY = Vendor(
    name="shopify",
    title="Shopify",
    docs="https://shopify.dev/docs/apps/build/webhooks",
    auth=Scheme(
        name="shopify",
        algorithm="sha256",
        message="{body}",
        container=Container("bare", "X-Shopify-Hmac-Sha256", encoding="base64"),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    deadline_s=5.0,
    retry_span_s=4 * HOUR_S,  # eight tries, after which a subscription of the Admin API is deleted
    overload_status=503,  # eight failures delete the subscription
    setup=(
        "Dev Dashboard, your app, Settings: copy the client secret into the source.",
        "shopify.app.toml, [[webhooks.subscriptions]]: topics and uri = the source's secret URL; shopify app deploy.",
        "Rotating the client secret: add the new one first; Shopify signs with the old one for a while.",
    ),
)
