"""Shapes of events that several vendors share: Bot Framework activities, Standard Webhooks' envelope.

Lives here: facts of a shape. Not here: who sends it (one file each beside this one), nor any auth.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from schemas.vendors import read
from schemas.vendors.base import Facts, Headers


class _Conversation(msgspec.Struct):
    id: str


class _Activity(msgspec.Struct):
    type: str
    id: str
    timestamp: str
    conversation: _Conversation


_ACTIVITY = msgspec.json.Decoder(_Activity)


def activity_key(_headers: Headers, body: bytes) -> str | None:
    """Return a Bot Framework activity's id: one message may be updated often, so type and time are part of it."""
    try:
        found = _ACTIVITY.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    parts = (found.conversation.id, found.id, found.type, found.timestamp)
    return " ".join(parts) if all(parts) else None


def activity(item: Mapping[str, Any], _headers: Headers) -> Facts:
    """Return what a Bot Framework activity says; the account is the Microsoft Entra tenant."""
    kind, name = _said(item, "type"), read.text(item, "name")
    return Facts(
        event_type=read.dotted(kind, name),
        vendor_event_id=read.joined(
            " ", _said(read.inner(item, "conversation"), "id"), _said(item, "id"), kind, _said(item, "timestamp")
        ),
        event_time_ms=read.epoch_ms(item.get("timestamp")),
        source_identifier=read.at(item, "channelData", "tenant", "id"),
    )


def standard_key(*headers: str) -> Callable[[Headers, bytes], str | None]:
    """Make the look-up of a message's id in the first of these headers that is there."""

    def key(given: Headers, _body: bytes) -> str | None:
        return next((given[name] for name in headers if given.get(name)), None)

    return key


def standard(*headers: str) -> Callable[[Mapping[str, Any], Headers], Facts]:
    """Make the facts of Standard Webhooks' envelope: `type`, `timestamp`, `data`; the id stands in a header."""
    key = standard_key(*headers)

    def facts(item: Mapping[str, Any], given: Headers) -> Facts:
        return Facts(
            event_type=read.text(item, "type", "event_type", "eventType"),
            vendor_event_id=key(given, b""),
            event_time_ms=read.epoch_ms(item.get("timestamp")),
        )

    return facts


def _said(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) and value else None
