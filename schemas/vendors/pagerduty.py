"""PagerDuty webhooks v3: `v1=` hex HMACs in a comma list, several while a secret is rotated.

Facts: https://developer.pagerduty.com/docs/webhooks/webhook-signatures. A 4xx other than 429 drops the event, and three
drops in a row disable the subscription.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Facts, Headers, Vendor

event_key = read.body_key("event", "id")


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return event type, id and time; what the event is about is the incident or service."""
    event = read.inner(item, "event")
    return Facts(
        event_type=read.text(event, "event_type"),
        vendor_event_id=read.text(event, "id"),
        event_time_ms=read.epoch_ms(event.get("occurred_at")),
        source_identifier=read.at(event, "data", "id"),
    )


PAGERDUTY = Vendor(
    name="pagerduty",
    title="PagerDuty",
    docs="https://developer.pagerduty.com/docs/webhooks/v3-overview",
    auth=Scheme(
        name="pagerduty",
        algorithm="sha256",
        message="{body}",
        container=Container("list", "X-PagerDuty-Signature", tag="v1="),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    control=frozenset({"pagey.ping"}),
    deadline_s=5.0,
    retry_span_s=2 * DAY_S,
    overload="reject",  # tries on 429 and 5xx; another 4xx drops the event
    setup=(
        "Integrations, Generic Webhooks (v3), New Webhook.",
        "Webhook URL: the source's secret URL; choose scope and events.",
        "Copy the secret that is shown once into the source; Send Test Event is counted as control.",
    ),
)
