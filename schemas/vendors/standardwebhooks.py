"""Standard Webhooks: any vendor that follows the specification, with HMAC (v1) or Ed25519 (v1a).

Facts: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

from schemas.signing import standard
from schemas.vendors import shapes
from schemas.vendors.base import DAY_S, Vendor

_V1, _V1A = standard.schemes("standardwebhooks")

STANDARDWEBHOOKS = Vendor(
    name="standardwebhooks",
    title="Standard Webhooks",
    docs="https://www.standardwebhooks.com",
    auth=_V1,
    also=(_V1A,),
    facts=shapes.standard("webhook-id"),
    event_key=shapes.standard_key("webhook-id"),
    partitioning="event",
    deadline_s=15.0,
    retry_span_s=3 * DAY_S,
    overload="reject",  # 429 throttles, Retry-After is honoured
    setup=(
        "Give the sender the source's ingest URL.",
        "Copy its secret into the source: whsec_… (HMAC) or whpk_… (Ed25519, public), without `v1,` before it.",
        "While the sender rotates, keep both secrets: a message may carry several signatures.",
    ),
)
