"""Segment's webhook destinations: bare hex HMAC-SHA1 over the body; of a batch over its first item alone.

Facts: https://segment.com/docs/connections/destinations/catalog/webhooks and .../actions-webhook. The bytes of the
first item are signed as they stand in the array; the others are not covered, which their authCoverage says.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import HOUR_S, Facts, Headers, Vendor


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return the call's type (`track.Order Completed` for track) and messageId, which `delete` does not have."""
    kind = read.text(item, "type")
    return Facts(
        event_type=read.dotted(kind, read.text(item, "event") if kind == "track" else None),
        vendor_event_id=read.text(item, "messageId"),
        event_time_ms=read.epoch_ms(item.get("timestamp")) or read.epoch_ms(item.get("originalTimestamp")),
        source_identifier=read.text(item, "projectId", "sourceId"),
    )


SEGMENT = Vendor(
    name="segment",
    title="Segment",
    docs="https://segment.com/docs/connections/destinations/catalog/actions-webhook",
    auth=Scheme(
        name="segment",
        algorithm="sha1",
        message="{item0}",
        container=Container("bare", "X-Signature"),
    ),
    facts=facts,
    first_item_signed=True,
    volatile=("/sentAt", "/receivedAt"),
    deadline_s=5.0,
    retry_span_s=4 * HOUR_S,
    overload="reject",  # tries on 5xx alone
    overload_status=503,
    setup=(
        "Connections, Destinations, Add Destination, Webhooks (Actions); connect it to a source.",
        "Shared secret: a long random text, the same in the source.",
        "Mapping Send: URL = the source's ingest URL, method POST.",
        "In a batch Segment signs the first item only: set the batch size to 1 where every item must be proved.",
    ),
)
