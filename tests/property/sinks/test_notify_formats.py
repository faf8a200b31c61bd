"""Whatever an event holds: a message is valid JSON, within its platform's limits, calls nobody, is always the same.

Events are drawn by a seed: they are large, and drawing each text one by one takes a hundred times as long.
"""

import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.wire.entity_event import Delta, Description, EntityEvent, EventType, decode, encode
from sinks.notify.formats import render
from tests.unit.sinks.outgoing_events import AT_MS, webhook

NASTY = (
    "<!channel>", "<!here|x>", "<@U123>", "<#C1>", "@channel", "@here", "@everyone", "@all", "<users/all>", "&amp;",
    "&", "<", ">", "`", "```", "*", "_", "~", "|", "[a](http://e.example)", "![x](http://e.example)", "<at>x</at>",
    "<b>", "</b>", "\\", "{{DATE(2017-02-14T06:08:39Z)}}", "- x", "1. x", "# x", "+ x", "=", "\n", "\r", "\t", "\x00",
    "\u202e", "\u200b", "é", "\U0001f600", '"', "'", "javascript:alert(1)", "http://e.example/?a=1&b=<", "x" * 400,
    "\\" * 200, "&" * 200, "\U0001f600" * 200, "@ch\u200bannel", "@CHANNEL", "snapshot", "state", "word", " ",
    "source x: ", "/api/v1/x",
)  # fmt: skip
BASE = "https://hookberg.example.com"
KINDS = ("alert", "table", "source")
MEMBERS = ("kind", "status", "entity", "message", "href", "x")


class Draw:
    """Draws events from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def text(self) -> str:
        few = self.random.choices(NASTY, k=self.random.choice((0, 1, 1, 2, 5)))
        return "".join((*few, *(chr(self.random.randrange(0xD7FF)) for _ in range(self.random.choice((0, 0, 3))))))

    def value(self, depth: int = 2) -> Any:
        draw, kind = self.random, self.random.randrange(9)
        if depth and kind < 2:
            few = range(draw.randrange(4))
            inner = [self.value(depth - 1) for _ in few]
            return inner if kind else {self.text(): each for each in inner}
        plain = (None, draw.random() < 0.5, draw.randrange(-(2**63), 2**64), draw.uniform(-1e30, 1e30), AT_MS)
        return self.text() if kind > 5 else draw.choice(plain)

    def deltas(self) -> tuple[Delta, ...]:
        count = self.random.choice((0, 0, 1, 2, 15))
        return tuple(Delta(self.text(), self.value(), self.value()) for _ in range(count))

    def event(self) -> EntityEvent:
        draw = self.random
        made = EntityEvent(
            event_id="ev-1",
            tenant_id="acme",
            event_type=draw.choice(tuple(EventType)),
            entity_type=draw.choice((*KINDS, self.text())),
            entity_id=self.text(),
            entity_name=self.text(),
            at_ms=draw.choice((AT_MS, 0, -1, draw.randrange(-(2**63), 2**63))),
            entity={name: self.value() for name in MEMBERS if draw.random() < 0.5},
            change=Description(self.deltas(), self.deltas(), self.deltas()),
            user=draw.choice((None, self.text())),
        )
        return decode(encode(made))  # as it comes from the store: what JSON cannot hold is not in it

    def batch(self) -> list[EntityEvent]:
        few = [self.event() for _ in range(self.random.choice((1, 1, 3)))]
        return (few * 40)[:40] if len(few) > 1 and self.random.random() < 0.5 else few


seeds = st.integers(0, 2**32)
GROUPS = re.compile(r"@(channel|here|everyone|all|group|team)\b", re.IGNORECASE)
UNESCAPED_MARKDOWN = re.compile(r"(?<!\\)(?:\\\\)*[`*_\[\]<>~|#{}&!]")


def strings(part: Any) -> Iterator[tuple[str, str]]:
    """Yield (member, text) of all texts inside."""
    if isinstance(part, dict):
        for name, value in part.items():
            if isinstance(value, str):
                yield name, value
            else:
                yield from strings(value)
    elif isinstance(part, list):
        for value in part:
            yield from strings(value)


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def slack(told: Any, size: int) -> None:
    assert size < 200_000
    assert set(told) == {"text", "blocks"}
    assert 1 <= len(told["blocks"]) <= 50
    assert utf16(told["text"]) <= 4000
    for block in told["blocks"]:
        match block["type"]:
            case "header":
                assert block["text"]["type"] == "plain_text"
                assert 1 <= utf16(block["text"]["text"]) <= 150
            case "section":
                assert block["text"]["type"] in {"mrkdwn", "plain_text"}
                assert 1 <= utf16(block["text"]["text"]) <= 3000
            case "context":
                assert 1 <= len(block["elements"]) <= 10
            case other:
                raise AssertionError(other)
    for name, text in strings(told):
        if name != "text":
            continue
        bare = re.sub(r"<https?://[^<>| ]+\|Open>", "", text)
        assert "<" not in bare
        assert ">" not in bare
        assert "&" not in re.sub(r"&(amp|lt|gt);", "", bare)
        assert all(line.count("`") % 2 == 0 for line in bare.split("\n") if line.startswith("• "))
        assert not GROUPS.search(text)


def msteams(told: Any, size: int) -> None:
    assert size < 28 * 1024
    [attachment] = told["attachments"]
    assert (told["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    for action in card.get("actions", ()):
        assert (action["type"], action["url"].partition("://")[0]) in {
            ("Action.OpenUrl", one) for one in ("http", "https")
        }
    for part in card["body"]:
        assert part.get("selectAction", {"url": "https://"})["url"].startswith(("http://", "https://"))
    kinds = {"TextBlock", "FactSet", "Container"}
    assert {part["type"] for part in card["body"]} <= kinds
    for name, text in strings(card["body"]):
        if name in {"text", "title", "value"}:
            assert text
            assert not UNESCAPED_MARKDOWN.search(text)
            assert not re.match(r"[-+=]|\d+[.)]", text)
            assert not GROUPS.search(text)


def google_chat(told: Any, size: int) -> None:
    assert size < 32_000
    assert set(told) == {"cardsV2"}
    [card] = told["cardsV2"]
    sections = card["card"]["sections"]
    assert 1 <= sum(len(section["widgets"]) for section in sections) <= 100
    for section in sections:
        assert section["widgets"]
    for name, text in strings(told):
        if name in {"text", "topLabel", "title", "subtitle"}:
            bare = re.sub(r"^<([bi])>(.*)</\1>$", r"\2", text, flags=re.DOTALL)
            assert "<" not in bare
            assert ">" not in bare
            assert "&" not in re.sub(r"&(amp|lt|gt);", "", bare)
            assert not GROUPS.search(text)


CHECKS = {"Slack": slack, "MSTeams": msteams, "GoogleChat": google_chat}


@settings(max_examples=100, deadline=None)
@pytest.mark.parametrize("kind", CHECKS)
@given(seed=seeds)
def test_a_chat_message_keeps_its_platforms_limits_and_calls_nobody(kind: str, seed: int) -> None:
    batch = Draw(seed).batch()
    made = webhook(kind, len(batch))
    out = render(made, batch, message_id="m", now_s=1, endpoint="https://x.example/", base_url=BASE)
    CHECKS[kind](json.loads(out.body), len(out.body))
    assert render(made, batch, message_id="m", now_s=1, endpoint="https://x.example/", base_url=BASE) == out


@settings(max_examples=100, deadline=None)
@given(seed=seeds, alone=st.booleans())
def test_a_generic_payload_holds_every_event_as_it_was(seed: int, *, alone: bool) -> None:
    batch = Draw(seed).batch()
    made = webhook("Generic", 1 if alone else 100)
    out = render(made, batch[:1] if alone else batch, message_id="m", now_s=1, endpoint="https://x.example/")
    told = json.loads(out.body)
    told = [told] if alone else told
    assert len(told) == (1 if alone else len(batch))
    for each, event in zip(told, batch, strict=False):
        assert list(each)[-2:] == ["webhookName", "signature"]
        members = {name: value for name, value in each.items() if name not in {"webhookName", "signature"}}
        assert members == json.loads(encode(event))
