"""CloudEvents over HTTP, and Azure Event Grid: a shared token, consent by OPTIONS, envelopes in headers or body.

Facts: https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md and
https://learn.microsoft.com/azure/event-grid/end-point-validation-cloud-events-schema. A token covers no byte of a body.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import msgspec

from schemas.signing.scheme import Container, Scheme
from schemas.vendors import read
from schemas.vendors.base import DAY_S, Answer, Facts, Handshake, Headers, Hello, Vendor

_ORIGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", re.ASCII)
_RATE = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_MAX_HELLO = 16_384


class _Data(msgspec.Struct):
    validationCode: str  # noqa: N815 as on the wire


class _Validation(msgspec.Struct, tag_field="eventType", tag="Microsoft.EventGrid.SubscriptionValidationEvent"):
    data: _Data


_VALIDATION = msgspec.json.Decoder(list[_Validation])


def consent(hello: Hello) -> Answer | None:
    """Consent to an origin at the rate it asks for; without a request for it there is no consent."""
    origin, rate = hello.headers.get("webhook-request-origin", ""), hello.headers.get("webhook-request-rate", "")
    if not _ORIGIN.fullmatch(origin):
        return None
    allowed = (("WebHook-Allowed-Origin", origin), ("WebHook-Allowed-Rate", rate if _RATE.fullmatch(rate) else "*"))
    return Answer(200, b"", headers=(*allowed, ("Allow", "POST")))


def validation(hello: Hello) -> Answer | None:
    """Answer Event Grid's own validation event with its code."""
    if len(hello.body) > _MAX_HELLO or b"SubscriptionValidationEvent" not in hello.body:
        return None
    try:
        [event] = _VALIDATION.decode(hello.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return Answer(200, msgspec.json.encode({"validationResponse": event.data.validationCode}))


def attributes(headers: Headers) -> dict[str, str]:
    """Return a binary event's attributes, percent signs undone (HTTP binding, section 3.1.3.2)."""
    said = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-") and len(name) > 3}  # noqa: PLR2004
    kind = headers.get("content-type")
    return said if kind is None else said | {"datacontenttype": kind}


def facts(item: Mapping[str, Any], headers: Headers) -> Facts:
    """Return the envelope's attributes: of the body (structured, batched, Event Grid's schema) or of ce-* headers."""
    said = attributes(headers) if "ce-id" in headers else item
    origin = read.text(said, "source", "topic")
    return Facts(
        event_type=read.text(said, "type", "eventType"),
        vendor_event_id=read.joined(" ", origin, read.text(said, "id")),
        event_time_ms=read.epoch_ms(said.get("time") or said.get("eventTime")),
        source_identifier=origin,
        correlation_id=read.text(said, "correlationid"),
    )


def _token(kind: str, container: Container) -> Scheme:
    return Scheme(f"cloudevents-{kind}", "token", "", container, coverage="none")


CLOUDEVENTS = Vendor(
    name="cloudevents",
    title="CloudEvents",
    docs="https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md",
    auth=_token("bearer", Container("prefix", "Authorization", tag="Bearer ")),
    also=(_token("query", Container("query", "access_token")),),
    facts=facts,
    handshakes=(
        Handshake(("OPTIONS",), signed=False, reply=consent),
        Handshake(("POST",), signed=True, reply=validation),
    ),
    success=Answer(202),
    deadline_s=30.0,
    retry_span_s=DAY_S,
    overload="reject",  # the specification wants 429 with Retry-After
    setup=(
        "Put a long random text into the source as its secret.",
        "Let the sender post to the source's ingest URL with Authorization: Bearer and that text,",
        "or, where it can send no header, with ?access_token= and that text in the URL.",
        "Azure Event Grid: Event Subscription, Cloud Event Schema v1.0, endpoint type Web Hook, that URL;",
        "the handshake is answered while it is created.",
        "With Microsoft Entra ID instead of a secret: auth type jwt, with your tenant's issuer, jwksUrl and audience.",
    ),
)
EVENTGRID = replace(
    CLOUDEVENTS, name="eventgrid", title="Azure Event Grid", docs="https://learn.microsoft.com/azure/event-grid"
)
