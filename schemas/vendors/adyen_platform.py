"""Adyen's platform and management webhooks: one HMAC over the whole body in the header HmacSignature.

Facts: https://docs.adyen.com/development-resources/webhooks/verify-hmac-signatures (balance platform, management).
No id of a delivery is documented; bodies carry a time, so equal bodies are one event.
"""

from collections.abc import Mapping
from typing import Any

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Answer, Facts, Headers, Vendor


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return type and time; the account is the balance platform, the company or the merchant."""
    data = read.inner(item, "data")
    return Facts(
        event_type=read.text(item, "type"),
        event_time_ms=read.epoch_ms(item.get("timestamp")) or read.epoch_ms(item.get("createdAt")),
        source_identifier=read.text(data, "balancePlatform", "companyId", "merchantId"),
    )


ADYEN_PLATFORM = Vendor(
    name="adyen-platform",
    title="Adyen for Platforms",
    docs="https://docs.adyen.com/platforms/configure-webhooks",
    auth=Scheme(
        name="adyen-platform",
        algorithm="sha256",
        message="{body}",
        container=Container("bare", "HmacSignature", encoding="base64"),
        key="hex",
    ),
    facts=facts,
    success=Answer(200, b"[accepted]", "text/plain"),
    deadline_s=10.0,
    retry_span_s=30 * DAY_S,
    dedupe_fallback="bodyHash",
    overload="reject",
    setup=(
        "Customer Area, Developers, Webhooks, + Webhook: a balance platform or management webhook.",
        "Server URL: the source's ingest URL.",
        "HMAC key: Generate; copy the hex key into the source; keep the old one beside it while you roll it.",
    ),
)
