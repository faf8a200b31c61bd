"""Microsoft Graph change notifications: each item carries the subscription's clientState, the URL is validated first.

Facts: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks. clientState covers no byte of the body:
authCoverage is none. An update without an etag has no id: equal notifications may be two changes, so none is dropped.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, InItems, Scheme
from schemas.vendors import read
from schemas.vendors.base import HOUR_S, MIB, Answer, Facts, Handshake, Headers, Hello, Vendor

_MAX_TOKEN = 4096
_PLAIN = "text/plain; charset=utf-8"


def validation(hello: Hello) -> Answer | None:
    """Answer `?validationToken=` with the decoded token as plain text, never as HTML."""
    token = hello.query.get("validationToken")
    if not token or len(token) > _MAX_TOKEN or hello.body.strip():
        return None
    return Answer(200, token.encode("utf-8", "replace"), _PLAIN, (("X-Content-Type-Options", "nosniff"),))


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return changeType or lifecycleEvent as type; subscription, change, resource and etag make the id."""
    lifecycle, change = read.text(item, "lifecycleEvent"), read.text(item, "changeType")
    data = read.inner(item, "resourceData")
    etag = read.text(data, "@odata.etag", "etag") or ("" if change in {"created", "deleted"} else None)
    return Facts(
        event_type=f"lifecycle.{lifecycle}" if lifecycle else change,
        vendor_event_id=None
        if lifecycle
        else read.joined(
            " ", read.text(item, "subscriptionId"), change, read.text(item, "resource"), read.text(data, "id"), etag
        ),
        source_identifier=read.text(item, "tenantId"),
        correlation_id=read.text(item, "subscriptionId"),
    )


MSGRAPH = Vendor(
    name="msgraph",
    title="Microsoft Graph",
    docs="https://learn.microsoft.com/graph/change-notifications-overview",
    auth=Scheme(
        name="msgraph",
        algorithm="token",
        message="",
        container=Container("bare", ""),
        coverage="none",
        items=InItems(path="/value/*", signature="/clientState"),
    ),
    facts=facts,
    split=("/value/*",),
    handshakes=(Handshake(("POST",), signed=False, reply=validation),),
    volatile=("/clientState", "/subscriptionExpirationDateTime"),
    success=Answer(202),
    deadline_s=3.0,
    retry_span_s=4 * HOUR_S,
    body_limit=4 * MIB,
    overload="reject",  # tries on 5xx; slow answers would count against us
    overload_status=503,
    setup=(
        "Put a long random text into the source as its secret: the clientState.",
        "POST /v1.0/subscriptions with notificationUrl and lifecycleNotificationUrl = the source's secret URL,",
        "clientState = that text, resource, changeType, expirationDateTime. Graph validates the URL meanwhile.",
        "Renew the subscription before it expires; clientState is part of each item and so of each row.",
    ),
)
