"""HubSpot webhooks: v3 (HMAC over method, URL, body and time), and v1 and v2, which are plain hashes.

Facts: https://developers.hubspot.com/docs/api/webhooks/validating-requests. Where a v3 signature is present it alone
decides; v1 and v2 carry no time, so a replay of one is caught by the event's id only. HubSpot undoes some escapes of
the URL before it signs: both forms are tried. `public_ingest_url` must be the address that HubSpot knows.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Freshness, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Facts, Headers, Vendor

_V3, _TIME = "X-HubSpot-Signature-v3", "X-HubSpot-Request-Timestamp"
_VERSION = "X-HubSpot-Signature-Version"


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return subscriptionType; eventId is not unique alone; the account is the portal."""
    return Facts(
        event_type=read.text(item, "subscriptionType"),
        vendor_event_id=read.joined(
            ":", *(read.text(item, name) for name in ("subscriptionId", "eventId", "objectId", "occurredAt"))
        ),
        event_time_ms=read.whole_ms(item.get("occurredAt")),
        source_identifier=read.text(item, "portalId"),
    )


def _plain(version: str, message: str) -> Scheme:
    return Scheme(
        name=f"hubspot-{version}",
        algorithm="sha256concat",
        message=message,
        container=Container("bare", "X-HubSpot-Signature"),
        urls="hubspot",
        when=((_V3, None), (_VERSION, version)),
    )


HUBSPOT = Vendor(
    name="hubspot",
    title="HubSpot",
    docs="https://developers.hubspot.com/docs/api/webhooks",
    auth=Scheme(
        name="hubspot",
        algorithm="sha256",
        message=f"{{method}}{{url}}{{body}}{{h.{_TIME}}}",
        container=Container("bare", _V3, encoding="base64"),
        freshness=Freshness("header", _TIME, unit="ms"),
        urls="hubspot",
    ),
    also=(_plain("v2", "{method}{url}{body}"), _plain("v1", "{body}")),
    facts=facts,
    volatile=("/attemptNumber",),
    deadline_s=5.0,
    retry_span_s=3 * DAY_S,
    overload="reject",
    setup=(
        "Set public_ingest_url to the exact address that HubSpot calls.",
        "Developer account, your app, Webhooks: Target URL = the source's secret URL; create subscriptions.",
        "Auth: copy the client secret into the source.",
    ),
)
