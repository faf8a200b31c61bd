"""Adyen's classic notifications: each item carries its own HMAC over eight of its fields, in the body.

Facts: https://docs.adyen.com/development-resources/webhooks (verify HMAC signatures, acknowledge). What the eight
fields leave out (eventDate, reason, additionalData) is not covered: authCoverage is partial.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, InItems, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, MIB, Answer, Facts, Headers, Vendor


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return eventCode as type; reference, code, success and date make the id; the account is the merchant's."""
    code, date = read.text(item, "eventCode"), read.text(item, "eventDate")
    success = item.get("success")
    worked = str(success).lower() if isinstance(success, bool | str) else None
    return Facts(
        event_type=code,
        vendor_event_id=read.joined(":", read.text(item, "pspReference"), code, worked, date),
        event_time_ms=read.epoch_ms(date),
        source_identifier=read.text(item, "merchantAccountCode"),
        correlation_id=read.text(item, "merchantReference"),
    )


ADYEN = Vendor(
    name="adyen",
    title="Adyen",
    docs="https://docs.adyen.com/development-resources/webhooks",
    auth=Scheme(
        name="adyen",
        algorithm="sha256",
        message="",
        container=Container("bare", "", encoding="base64"),
        key="hex",
        coverage="partial",
        items=InItems(
            path="/notificationItems/*/NotificationRequestItem",
            signature="/additionalData/hmacSignature",
            fields=(
                "/pspReference",
                "/originalReference",
                "/merchantAccountCode",
                "/merchantReference",
                "/amount/value",
                "/amount/currency",
                "/eventCode",
                "/success",
            ),
        ),
    ),
    facts=facts,
    split=("/notificationItems/*/NotificationRequestItem",),
    volatile=("/additionalData/hmacSignature",),  # another key signs the retry while a new one propagates
    success=Answer(200, b"[accepted]", "text/plain"),
    deadline_s=10.0,
    retry_span_s=30 * DAY_S,
    body_limit=4 * MIB,
    overload="reject",
    setup=(
        "Customer Area, Developers, Webhooks, + Webhook, Standard webhook.",
        "URL: the source's secret URL; method JSON.",
        "HMAC key: Generate; copy the hex key into the source. Adyen goes on using an old key for a while: keep both.",
        "Save and send a test notification: it is answered [accepted].",
    ),
)
