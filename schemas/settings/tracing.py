"""Settings of traces, which are off unless a collector is named. The reference in the README is generated from it."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from schemas.settings.base import Settings


def _endpoint(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("an address as http://127.0.0.1:4318 of a collector that takes OTLP over HTTP")
    return value.rstrip("/")


class TraceSettings(Settings):
    """Where spans go and how many there are."""

    otlp_url: Annotated[str, AfterValidator(_endpoint)] = Field(
        default="",
        max_length=2048,
        description="collector that takes OTLP over HTTP (http://host:4318); none: no traces",
    )
    otlp_headers: SecretStr | None = Field(
        default=None, description="sent to the collector: name=value, comma-separated (for example its API key)"
    )
    trace_ratio: float = Field(
        default=0.01, ge=0, le=1, description="share of requests without a traceparent that begin a trace"
    )
    traced_requests_per_s: float = Field(
        default=20.0, ge=0, le=10_000, description="of one process, at most, whatever senders ask for"
    )
