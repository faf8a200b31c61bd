"""Microsoft Teams: an Adaptive Card 1.4 in a message, as the workflow "post to a channel" and connectors take it.

Lives here: the card's shapes and bounds, the escapes of its Markdown. https://adaptivecards.io/explorer
Limit kept: a message has less than 28 KB (https://learn.microsoft.com/microsoftteams/limits-specifications-teams).
"""

import re
from collections.abc import Sequence
from typing import Any

import orjson

from schemas.definitions.notification import WebhookView
from schemas.wire.entity_event import EntityEvent
from sinks.notify.formats import telling
from sinks.notify.formats.telling import Told

MAX_BYTES = 27_000
_MARKS = re.compile(r"([\\`*_\[\]<>~|#{}&!])")
_BEGINS = re.compile(r"^(\d{1,9})([.)])|^([-+=])")


def payload(webhook: WebhookView, events: Sequence[EntityEvent], base_url: str) -> bytes:
    """Return the message: one event at length, of several the first ones that fit and how many more there are."""
    if len(events) == 1:
        told = telling.tell(events[0], base_url=base_url)
        return _message(_one(told, "Medium"), _actions(told))
    title = _text(telling.batch(len(events), webhook.full_name), weight="Bolder", size="Medium")
    shown = [telling.tell(event, telling.MAX_CHANGES_IN_BATCH, base_url) for event in events[: telling.MAX_EVENTS]]
    while True:
        rest = len(events) - len(shown)
        more = [_text(telling.left_out(rest, "change"), isSubtle=True)] if rest else []
        body = [title, *(_container(told) for told in shown)]
        made = _message([*body, *more], [])
        if len(made) <= MAX_BYTES or len(shown) == 1:
            return made
        shown.pop()


def escape(text: str) -> str:
    """Return a text that a card's Markdown shows as it is."""
    return _BEGINS.sub(
        lambda found: f"{found[1]}\\{found[2]}" if found[1] else f"\\{found[3]}", _MARKS.sub(r"\\\1", text)
    )


def _one(told: Told, size: str) -> list[dict[str, Any]]:
    facts = [{"title": escape(change.name), "value": escape(change.text())} for change in told.changes]
    parts = [_text(told.headline, weight="Bolder", size=size)]
    if told.text:
        parts.append(_text(told.text))
    if facts:
        parts.append({"type": "FactSet", "facts": facts})
    if told.more:
        parts.append(_text(telling.left_out(told.more, "field"), isSubtle=True))
    return [*parts, _text(told.footer, isSubtle=True, size="Small", spacing="Small")]


def _container(told: Told) -> dict[str, Any]:
    """Return one event of several; clicked, it opens."""
    container = {"type": "Container", "separator": True, "items": _one(told, "Default")}
    actions = _actions(told)
    return {**container, "selectAction": actions[0]} if actions else container


def _actions(told: Told) -> list[dict[str, Any]]:
    return [] if told.link is None else [{"type": "Action.OpenUrl", "title": "Open", "url": told.link}]


def _text(text: str, **looks: Any) -> dict[str, Any]:  # noqa: ANN401 a card's members
    return {"type": "TextBlock", "text": escape(text), "wrap": True, **looks}


def _message(body: list[dict[str, Any]], actions: list[dict[str, Any]]) -> bytes:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        **({"actions": actions} if actions else {}),
        "msteams": {"width": "Full"},
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return orjson.dumps({"type": "message", "attachments": [attachment]})
