"""Slack's Events API: `v0=` over version, time and body; the URL check is answered with its challenge.

Facts: https://api.slack.com/authentication/verifying-requests-from-slack and https://api.slack.com/apis/events-api.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.signing.scheme import Container, Freshness, Scheme
from schemas.vendors import read
from schemas.vendors.base import HOUR_S, Answer, Facts, Handshake, Headers, Hello, Vendor

_MAX_CHALLENGE = 4096
_MAX_HANDSHAKE = 16_384
_SECONDS = re.compile(r"([0-9]{9,11})\.([0-9]{3})[0-9]{3}", re.ASCII)


class _UrlVerification(msgspec.Struct, tag_field="type", tag="url_verification"):
    challenge: str


_VERIFICATION = msgspec.json.Decoder(_UrlVerification)
event_key = read.body_key("event_id")
"""None for forms (slash commands) and `app_rate_limited`."""


def challenge(hello: Hello) -> Answer | None:
    """Answer `url_verification` with its challenge as plain text; None for everything else."""
    if len(hello.body) > _MAX_HANDSHAKE or b"url_verification" not in hello.body:
        return None
    try:
        said = _VERIFICATION.decode(hello.body).challenge
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not said or len(said) > _MAX_CHALLENGE:
        return None
    return Answer(200, said.encode("utf-8", "replace"), "text/plain; charset=utf-8")


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return `event.type` (with its subtype), else the outer type or the command; the account is the team.

    Interactivity (form field `payload`) has no id: Slack never sends one again.
    """
    event = read.inner(item, "event")
    kind, subtype = read.text(event, "type"), read.text(event, "subtype")
    return Facts(
        event_type=(f"{kind}.{subtype}" if kind and subtype else kind) or read.text(item, "type", "command"),
        vendor_event_id=read.text(item, "event_id"),
        event_time_ms=read.epoch_ms(item.get("event_time"))
        or _moment(read.text(read.first(item, "actions"), "action_ts")),
        source_identifier=read.text(item, "team_id", "enterprise_id") or read.text(read.inner(item, "team"), "id"),
    )


def _moment(text: str | None) -> int | None:
    """Read Slack's seconds with six decimals."""
    found = _SECONDS.fullmatch(text or "")
    return int(found[1] + found[2]) if found else None


SLACK = Vendor(
    name="slack",
    title="Slack",
    docs="https://api.slack.com/apis/events-api",
    auth=Scheme(
        name="slack",
        algorithm="sha256",
        message="v0:{h.X-Slack-Request-Timestamp}:{body}",
        container=Container("prefix", "X-Slack-Signature", tag="v0="),
        freshness=Freshness("header", "X-Slack-Request-Timestamp"),
    ),
    facts=facts,
    event_key=event_key,
    partitioning="event",
    handshakes=(Handshake(("POST",), signed=True, reply=challenge),),
    deadline_s=3.0,
    retry_span_s=HOUR_S,
    overload_status=503,  # three tries within five minutes; many failures turn the app's events off
    setup=(
        "api.slack.com/apps, your app, Basic Information: copy the signing secret into the source.",
        "Event Subscriptions, Enable Events; Request URL: the source's secret URL; Slack's challenge is answered.",
        "Subscribe to bot events and reinstall the app.",
    ),
)
