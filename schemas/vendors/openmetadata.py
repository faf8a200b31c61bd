"""OpenMetadata's change events: `X-OM-Signature: sha256=` and then BASE64, not hex.

Facts: https://docs.open-metadata.org/latest/how-to-guides/admin-guide/alerts. Releases send one event, an array, or
`{"data": [...]}`; some count 200 alone as delivered. The connection test carries a message and no event.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Answer, Facts, Headers, Vendor

TEST = "test"


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return eventType, id and time; the entity is what the event is about. A bare message is the connection test.

    Hookberg's own events, which tell the same, call their id `eventId`.
    """
    kind = read.text(item, "eventType")
    if kind is None and "message" in item:
        kind = TEST
    return Facts(
        event_type=kind,
        vendor_event_id=read.text(item, "id") or read.text(item, "eventId"),
        event_time_ms=read.whole_ms(item.get("timestamp")),
        source_identifier=read.joined(":", read.text(item, "entityType"), read.text(item, "entityId")),
    )


OPENMETADATA = Vendor(
    name="openmetadata",
    title="OpenMetadata",
    docs="https://docs.open-metadata.org/latest/how-to-guides/admin-guide/alerts",
    auth=Scheme(
        name="openmetadata",
        algorithm="sha256",
        message="{body}",
        container=Container("prefix", "X-OM-Signature", tag="sha256=", encoding="base64"),
    ),
    facts=facts,
    split=("/data/*",),
    control=frozenset({TEST}),
    success=Answer(200),
    deadline_s=10.0,
    retry_span_s=DAY_S,
    overload="reject",
    overload_status=503,
    setup=(
        "Settings, Notifications (or Observability), Add alert, destination Webhook.",
        "Endpoint URL: the source's ingest URL; Advanced: Secret Key: a long random text, the same in the source.",
        "Test Destination: answered 200 and counted as control.",
    ),
)
