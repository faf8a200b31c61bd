"""The settings of `hookberg notify`, and those of outbound webhooks that the API looks at too."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.settings.base import Settings
from schemas.settings.public import ApiAddressSettings

DEFAULT_SCHEDULE = "60,300,900,3600,14400,43200"
"""Seconds from a failed attempt to the next: 1 min, 5 min, 15 min, 1 h, 4 h, 12 h (spec section 10)."""
MAX_RETRIES = 20
MAX_WAIT_S = 7 * 86_400


def schedule(value: str) -> tuple[int, ...]:
    """Return the waits in seconds; raise ValueError for what is none."""
    waits = tuple(int(part) for part in value.split(",") if part.strip())
    if not 1 <= len(waits) <= MAX_RETRIES or any(not 1 <= wait <= MAX_WAIT_S for wait in waits):
        raise ValueError(f"1 to {MAX_RETRIES} waits of 1 to {MAX_WAIT_S} seconds, as {DEFAULT_SCHEDULE}")
    return waits


def _schedule(value: str) -> str:
    schedule(value)
    return value


class EndpointSettings(Settings):
    """What the API asks when a webhook is made or changed, and notify before each call."""

    notify_allow_private: str = Field(
        default="",
        max_length=4096,
        description="private networks that outbound webhooks may call: 10.1.0.0/16,192.168.7.4/32",
    )
    notify_allow_http: bool = Field(default=False, description="let outbound webhooks call http:// too, unencrypted")
    notify_secret_overlap_s: float = Field(
        default=86_400.0, ge=0, le=30 * 86_400, description="how long a replaced secret still signs beside the new one"
    )


class DeliverySettings(ApiAddressSettings):
    """How outbound webhooks are delivered."""

    notify_ca_file: Path | None = Field(
        default=None, description="PEM of a private authority of receivers, beside the public ones"
    )
    notify_poll_s: float = Field(default=0.5, ge=0.05, le=60, description="how often changes are looked for")
    notify_linger_s: float = Field(default=1.0, ge=0, le=60, description="a batch waits so long for more events")
    notify_retry_s: Annotated[str, AfterValidator(_schedule)] = Field(
        default=DEFAULT_SCHEDULE, max_length=200, description="waits before each retry of a delivery, in seconds"
    )
    notify_retry_jitter: float = Field(default=0.1, ge=0, le=0.5, description="share by which a wait is lengthened")
    notify_concurrency: int = Field(default=256, ge=1, le=4096, description="requests at a time, one an endpoint")
    notify_circuit_failures: int = Field(
        default=5, ge=1, le=1000, description="failures in a row after which an endpoint is called one at a time"
    )
    notify_circuit_probe_s: float = Field(
        default=10.0, ge=0.1, le=3600, description="then the first wait, doubled up to 5 minutes, between calls"
    )
    notify_max_pending: int = Field(
        default=100_000, ge=100, le=10_000_000, description="deliveries that may wait for one endpoint; past it the "
        "oldest is given up, to be resent",
    )  # fmt: skip
    notify_log_days: int = Field(default=30, ge=1, le=365, description="how long the log of deliveries is kept")
    notify_lease_s: float = Field(
        default=15.0, ge=1, le=300, description="a notify process that is silent so long is followed by another"
    )
