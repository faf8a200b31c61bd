"""Signatures over received bytes: message template, MAC, container, freshness; sign and verify are twins.

`verify` is total: it returns a verdict and never raises, whatever is sent (design: data in Scheme values, one engine).
Used by the edge, by `hookberg send` and demo, and by outbound webhooks.
"""

from schemas.signing.engine import Prepared, judge, sign, verify, verify_any
from schemas.signing.scheme import (
    Container,
    Coverage,
    Freshness,
    InItems,
    Invalid,
    Scheme,
    SignedRequest,
    Valid,
    Verdict,
)

__all__ = [
    "Container",
    "Coverage",
    "Freshness",
    "InItems",
    "Invalid",
    "Prepared",
    "Scheme",
    "SignedRequest",
    "Valid",
    "Verdict",
    "judge",
    "sign",
    "verify",
    "verify_any",
]
