"""Standard Webhooks, the scheme that many vendors share: HMAC (v1) and Ed25519 (v1a) over id, time and body.

Lives here: the schemes; who uses them: schemas/vendors and outbound webhooks.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from typing import Literal

from schemas.signing.scheme import Container, Freshness, Scheme


def schemes(name: str, prefix: str = "webhook", key: Literal["whsec", "whsec-only"] = "whsec") -> tuple[Scheme, Scheme]:
    """Return v1 and v1a with headers `{prefix}-id`, `{prefix}-timestamp`, `{prefix}-signature`."""
    message = f"{{h.{prefix}-id}}.{{h.{prefix}-timestamp}}.{{body}}"
    fresh = Freshness("header", f"{prefix}-timestamp")

    def container(tag: str) -> Container:
        return Container("list", f"{prefix}-signature", tag=tag, separator=" ", encoding="base64")

    return (
        Scheme(name, "sha256", message, container("v1,"), key=key, freshness=fresh),
        Scheme(f"{name}-v1a", "ed25519", message, container("v1a,"), key="whpk", freshness=fresh),
    )
