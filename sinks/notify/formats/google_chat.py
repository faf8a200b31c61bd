"""Google Chat: a card (cardsV2).

Lives here: the card's shapes and bounds, the escapes of its HTML. https://developers.google.com/workspace/chat/api/reference/rest/v1/cards
Limit kept: a message has at most 32,000 bytes. There is no member `text`: there `<users/all>` would call everyone, and
has no escape.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from schemas.definitions.notification import WebhookView
from schemas.wire.entity_event import EntityEvent
from sinks.notify.formats import telling
from sinks.notify.formats.telling import Told

MAX_BYTES = 31_000
CARD = "hookberg"


def payload(webhook: WebhookView, events: Sequence[EntityEvent], base_url: str) -> bytes:
    """Return the message: one event at length, of several the first ones that fit and how many more there are."""
    count = len(events)
    header = {"title": "1 change" if count == 1 else f"{count:,} changes", "subtitle": escape(webhook.full_name)}
    most = telling.MAX_CHANGES if count == 1 else telling.MAX_CHANGES_IN_BATCH
    shown = [telling.tell(event, most, base_url) for event in events[: telling.MAX_EVENTS]]
    while True:
        sections = [{"widgets": _widgets(told)} for told in shown]
        if rest := count - len(shown):
            sections.append({"widgets": [_paragraph(escape(telling.left_out(rest, "change")))]})
        made = orjson.dumps({"cardsV2": [{"cardId": CARD, "card": {"header": header, "sections": sections}}]})
        if len(made) <= MAX_BYTES or len(shown) == 1:
            return made
        shown.pop()


def escape(text: str) -> str:
    """Return a text that a card's HTML shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _widgets(told: Told) -> list[dict[str, Any]]:
    widgets = [_paragraph(f"<b>{escape(told.headline)}</b>")]
    if told.text:
        widgets.append(_paragraph(escape(told.text)))
    widgets += [
        {"decoratedText": {"topLabel": escape(change.name), "text": escape(change.text()), "wrapText": True}}
        for change in told.changes
    ]
    if told.more:
        widgets.append(_paragraph(escape(telling.left_out(told.more, "field"))))
    widgets.append(_paragraph(f"<i>{escape(told.footer)}</i>"))
    if told.link is not None:
        button = {"text": "Open", "onClick": {"openLink": {"url": told.link}}}
        widgets.append({"buttonList": {"buttons": [button]}})
    return widgets


def _paragraph(text: str) -> dict[str, Any]:
    return {"textParagraph": {"text": text}}
