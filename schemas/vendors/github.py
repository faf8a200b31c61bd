"""GitHub webhooks: signature over the body, delivery GUID in a header, event and action as type, `ping` as control.

Facts: https://docs.github.com/en/webhooks (validating deliveries, events and payloads, best practices).
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, MIB, Facts, Headers, Vendor


def event_key(headers: Headers, _body: bytes) -> str | None:
    """Return the delivery GUID: the same on a redelivery."""
    return headers.get("x-github-delivery") or None


def facts(item: Mapping[str, Any], headers: Headers) -> Facts:
    """Return the type `event` or `event.action`; the account is the repository, organisation or installation."""
    event = headers.get("x-github-event") or None
    action = read.text(item, "action")
    owner = (
        read.text(read.inner(item, "repository"), "full_name")
        or read.text(read.inner(item, "organization"), "login")
        or read.text(read.inner(item, "installation"), "id")
    )
    return Facts(
        event_type=f"{event}.{action}" if event and action else event,
        vendor_event_id=event_key(headers, b""),
        source_identifier=owner,
    )


GITHUB = Vendor(
    name="github",
    title="GitHub",
    docs="https://docs.github.com/en/webhooks",
    auth=Scheme(
        name="github",
        algorithm="sha256",
        message="{body}",
        container=Container("prefix", "X-Hub-Signature-256", tag="sha256="),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    control=frozenset({"ping"}),
    deadline_s=10.0,
    retry_span_s=3 * DAY_S,  # redelivery by hand or REST; GitHub itself never retries, so a refusal loses the event
    body_limit=25 * MIB,
    overload="queue",  # never tries again
    setup=(
        "Repository or organisation settings, Webhooks, Add webhook.",
        "Payload URL: the source's ingest URL; content type: application/json; secret: the source's secret.",
        "Save: GitHub sends a ping, which is answered and counted as control.",
    ),
)
