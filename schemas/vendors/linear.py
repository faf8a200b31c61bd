"""Linear webhooks: bare hex HMAC over the body, whose signed webhookTimestamp may be 60 s off.

Facts: https://linear.app/developers/webhooks. A retry is stamped anew, so the stamp is no part of the content.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Freshness, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Facts, Headers, Vendor

_STAMP = "webhookTimestamp"


def event_key(headers: Headers, _body: bytes) -> str | None:
    """Return the delivery's id, the same for each attempt."""
    return headers.get("linear-delivery") or None


def facts(item: Mapping[str, Any], headers: Headers) -> Facts:
    """Return `type.action` (Issue.create) and the time; the account is the organisation."""
    kind = read.text(item, "type") or headers.get("linear-event") or None
    return Facts(
        event_type=read.dotted(kind, read.text(item, "action")),
        vendor_event_id=event_key(headers, b""),
        event_time_ms=read.epoch_ms(item.get("createdAt")) or read.whole_ms(item.get(_STAMP)),
        source_identifier=read.text(item, "organizationId"),
    )


LINEAR = Vendor(
    name="linear",
    title="Linear",
    docs="https://linear.app/developers/webhooks",
    auth=Scheme(
        name="linear",
        algorithm="sha256",
        message="{body}",
        container=Container("bare", "Linear-Signature"),
        freshness=Freshness("body", _STAMP, unit="ms", past_s=60, future_s=60),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    volatile=(f"/{_STAMP}",),
    deadline_s=5.0,
    retry_span_s=DAY_S,  # after 1 min, 1 h and 6 h
    overload="reject",
    overload_status=503,
    setup=(
        "Settings, API, Webhooks, New webhook.",
        "URL: the source's secret URL; choose the resource types.",
        "Copy the signing secret into the source. Linear's stamp may be 60 s off: keep the clock in step (NTP).",
    ),
)
