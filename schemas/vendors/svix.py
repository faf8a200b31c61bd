"""Svix: Standard Webhooks under headers of its own; both spellings of the headers are taken.

Facts: https://docs.svix.com/receiving/verifying-payloads/how-manual.
"""

from schemas.signing import standard
from schemas.vendors import shapes
from schemas.vendors.base import DAY_S, Vendor

_IDS = ("svix-id", "webhook-id")
_V1, _V1A = standard.schemes("svix", "svix")

SVIX = Vendor(
    name="svix",
    title="Svix",
    docs="https://docs.svix.com/receiving/introduction",
    auth=_V1,
    also=(_V1A, *standard.schemes("svix-webhook", "webhook")),
    facts=shapes.standard(*_IDS),
    event_key=shapes.standard_key(*_IDS),
    partitioning="event",
    deadline_s=15.0,
    retry_span_s=2 * DAY_S,
    overload="reject",  # 429 throttles, Retry-After is honoured
    setup=(
        "The sender's application portal, Endpoints, Add Endpoint: the source's ingest URL.",
        "Open the endpoint, Signing Secret: copy whsec_… into the source.",
        "Testing, Send Example: it becomes an event.",
    ),
)
