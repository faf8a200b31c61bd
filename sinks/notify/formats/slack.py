"""Slack: blocks that a person reads, and plain text for notifications.

Lives here: Block Kit's shapes and bounds, mrkdwn's escapes. https://docs.slack.dev/reference/block-kit/blocks
Limits kept: 50 blocks, 150 characters of a header, 3,000 of a section. Values stand in code spans, where nothing is
formatted, linked or mentioned; `&`, `<` and `>` are escaped everywhere, so that `<!channel>` is only text.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from schemas.definitions.notification import WebhookView
from schemas.wire.entity_event import EntityEvent
from sinks.notify.formats import telling
from sinks.notify.formats.bounds import bounded, lines, units
from sinks.notify.formats.telling import Told

MAX_HEADER = 150
MAX_SECTION = 2900
MAX_TEXT = 1000


def payload(webhook: WebhookView, events: Sequence[EntityEvent], base_url: str) -> bytes:
    """Return the message: one event at length, of several the first ones and how many more there are."""
    if len(events) == 1:
        told = telling.tell(events[0], base_url=base_url)
        title, text, blocks = told.headline, told.sentence, _one(told)
    else:
        title = text = telling.batch(len(events), webhook.full_name)
        blocks = _many(events, base_url)
    head = {
        "type": "header",
        "text": {"type": "plain_text", "text": bounded(title, MAX_HEADER, escape), "emoji": False},
    }
    return orjson.dumps({"text": bounded(text, MAX_TEXT, escape), "blocks": [head, *blocks]})


def escape(text: str) -> str:
    """Return a text that Slack shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one(told: Told) -> list[dict[str, Any]]:
    whole = [told.headline] if units(escape(told.headline)) > MAX_HEADER else []
    plain = [_plain(text) for text in (*whole, told.text) if text]
    changes = lines(_changes(told), MAX_SECTION)
    return [*plain, *([_section(changes)] if changes else []), _context(_footer(told))]


def _many(events: Sequence[EntityEvent], base_url: str) -> list[dict[str, Any]]:
    shown = [telling.tell(event, telling.MAX_CHANGES_IN_BATCH, base_url) for event in events[: telling.MAX_EVENTS]]
    blocks = [_section(lines(_told(told), MAX_SECTION)) for told in shown]
    rest = len(events) - len(shown)
    return [*blocks, _context(telling.left_out(rest, "change"))] if rest else blocks


def _told(told: Told) -> Iterable[str]:
    yield f"*{bounded(told.headline, MAX_TEXT, _bold)}*"
    if told.text:
        yield bounded(told.text, MAX_TEXT, _bold)
    yield from _changes(told)
    yield _footer(told)


def _changes(told: Told) -> Iterable[str]:
    for change in told.changes:
        yield f"• `{_code(change.name)}`: {change.text(_span)}"
    if told.more:
        yield telling.left_out(told.more, "field")


def _footer(told: Told) -> str:
    footer = escape(told.footer)
    return footer if told.link is None else f"{footer} · <{escape(told.link)}|Open>"


def _span(text: str) -> str:
    return f"`{_code(text)}`"


def _code(text: str) -> str:
    """Return what stands in a code span and cannot end it."""
    return escape(text.replace("`", "\u02cb"))


def _bold(text: str) -> str:
    """Return what stands between asterisks and cannot end them, nor begin a code span."""
    return escape(text.replace("*", "\u2217").replace("`", "\u02cb"))


def _plain(text: str) -> dict[str, Any]:
    return {
        "type": "section",
        "text": {"type": "plain_text", "text": bounded(text, MAX_SECTION, escape), "emoji": False},
    }


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}
