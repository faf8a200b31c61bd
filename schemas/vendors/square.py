"""Square webhooks: base64 HMAC over the notification URL followed by the body.

Facts: https://developer.squareup.com/docs/webhooks/step3validate. The URL is signed as it was typed into the dashboard:
`public_ingest_url` must be that address. Times have nine digits of a second.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Facts, Headers, Vendor

event_key = read.body_key("event_id")


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return type, id and time; the account is the merchant."""
    return Facts(
        event_type=read.text(item, "type"),
        vendor_event_id=read.text(item, "event_id"),
        event_time_ms=read.epoch_ms(item.get("created_at")),
        source_identifier=read.text(item, "merchant_id"),
    )


SQUARE = Vendor(
    name="square",
    title="Square",
    docs="https://developer.squareup.com/docs/webhooks/overview",
    auth=Scheme(
        name="square",
        algorithm="sha256",
        message="{url}{body}",
        container=Container("bare", "x-square-hmacsha256-signature", encoding="base64"),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    deadline_s=10.0,
    retry_span_s=3 * DAY_S,
    overload="reject",
    overload_status=503,
    setup=(
        "Set public_ingest_url to the exact address that Square calls.",
        "Developer Console, your application, Webhooks, Subscriptions, Add subscription.",
        "URL: the source's secret URL, typed exactly so; choose the events and save.",
        "Copy the Signature Key into the source; Send test event becomes an event.",
    ),
)
