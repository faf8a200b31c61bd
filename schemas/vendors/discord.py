"""Discord: Ed25519 over the time and the body; webhook events are answered 204, pings of both kinds as Discord wants.

Facts: https://docs.discord.com/developers/events/webhook-events and .../interactions/overview. Discord sends bad
signatures on purpose and removes a URL that does not answer them with 401. Events have no id but carry their time.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.signing.scheme import Container, Freshness, Scheme
from schemas.vendors import read
from schemas.vendors.base import HOUR_S, Answer, Facts, Handshake, Headers, Hello, Vendor

_MAX_PING = 65_536
_TYPED = (("Content-Type", "application/json"),)
"""Discord wants it of an answer to a ping even where there is no body, of which a server says no type by itself."""


class _Ping(msgspec.Struct):
    type: int
    event: msgspec.Raw | None = None


_PING = msgspec.json.Decoder(_Ping)


def ping(hello: Hello) -> Answer | None:
    """Answer type 0 (webhook events) with 204 and type 1 without an event (interactions) with `{"type":1}`."""
    if len(hello.body) > _MAX_PING:
        return None
    try:
        said = _PING.decode(hello.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if said.event is not None:
        return None
    return {0: Answer(204, b"", headers=_TYPED), 1: Answer(200, b'{"type":1}')}.get(said.type)


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return the event's type and time, or an interaction's id; the account is the application."""
    event = read.inner(item, "event")
    interaction = read.text(item, "id")
    return Facts(
        event_type=read.text(event, "type") or (read.dotted("interaction", read.text(item, "type"))),
        vendor_event_id=interaction,
        event_time_ms=read.epoch_ms(event.get("timestamp")),
        source_identifier=read.text(item, "application_id"),
    )


DISCORD = Vendor(
    name="discord",
    title="Discord",
    docs="https://docs.discord.com/developers/events/webhook-events",
    auth=Scheme(
        name="discord",
        algorithm="ed25519",
        message="{h.X-Signature-Timestamp}{body}",
        container=Container("bare", "X-Signature-Ed25519"),
        key="hex",
        freshness=Freshness("header", "X-Signature-Timestamp"),
    ),
    facts=facts,
    handshakes=(Handshake(("POST",), signed=True, reply=ping),),
    success=Answer(204, b""),
    refusal_status=401,
    deadline_s=3.0,
    retry_span_s=HOUR_S,
    dedupe_fallback="bodyHash",
    overload_status=503,  # tries end after ten minutes, before a backlog would be gone
    setup=(
        "discord.com/developers/applications, your application: copy the Public Key into the source.",
        "Webhooks: Endpoint URL = the source's secret URL; save: Discord sends a ping, which is answered.",
        "Turn Events on and choose them.",
    ),
)
