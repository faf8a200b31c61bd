"""Any other sender: no signature of its own, facts by the fallbacks of the contract (spec section 7).

What the query of a generic delivery says (overrides) is applied by the stage, on top of these facts.
"""

from collections.abc import Mapping
from typing import Any

from schemas.vendors import read
from schemas.vendors.base import Facts, Headers, Vendor

RECEIVED = "received"
_CORRELATION = ("x-correlation-id", "x-request-id", "request-id")


def event_key(headers: Headers, _body: bytes) -> str | None:
    """Return `X-Webhook-Id`, the one header by which a sender names a delivery."""
    return headers.get("x-webhook-id") or None


def facts(item: Mapping[str, Any], headers: Headers) -> Facts:
    """Return the type from `event`, `type` or `action`, else `received`; ids from `x-webhook-id` and the body's `id`.

    `vendor_event_id` is only what identifies alone (`x-webhook-id`); a body's `id` may name a thing that changes, so it
    is the source identifier and never drops an event.
    """
    said = (item.get(name) for name in ("event", "type", "action"))
    kind = next((text for text in said if isinstance(text, str) and text), None)
    return Facts(
        event_type=kind[:256] if kind else RECEIVED,
        vendor_event_id=event_key(headers, b""),
        source_identifier=read.text(item, "id"),
        correlation_id=next((headers[name] for name in _CORRELATION if headers.get(name)), None),
    )


GENERIC = Vendor(
    name="generic",
    title="Generic",
    docs="https://www.rfc-editor.org/rfc/rfc9110#name-post",
    auth=None,
    facts=facts,
    event_key=event_key,
    setup=(
        "Post JSON to the source's ingest URL, or to /api/v1/webhooks/{platform} with an API key (ingestion:write).",
        "Send X-Webhook-Id with an id of your own: the same id is stored once.",
    ),
)
