"""Reasons, definitions and logs: closed lists, precedence, redaction."""

from collections import Counter
from typing import Any

import pytest

from schemas import logs
from schemas.definitions.source import pin_for
from schemas.reasons import Reason


def test_every_reason_has_a_status_and_a_text() -> None:
    for reason in Reason:
        assert reason.status == 0 or 400 <= reason.status < 600
        assert reason.text
        assert reason.value == reason.name.lower()
    assert max(Counter(Reason.__members__.values()).values()) == 1


@pytest.mark.parametrize(
    ("event_type", "pin"),
    [("push", "exact@1"), ("push.tag", "long@1"), ("pull", "short@1"), ("other", "any@1")],
)
def test_the_exact_pin_wins_then_the_longest_glob(event_type: str, pin: str) -> None:
    pins = {"*": "any@1", "pu*": "short@1", "push*": "long@1", "push": "exact@1"}
    assert pin_for(pins, event_type) == pin


@pytest.mark.parametrize(
    ("globs", "event_type"),
    [
        (("order.*", "*"), "order.paid"),
        (("order.paid*", "????????????*"), "order.paid.eu"),
        (("order.pai?", "order.[a-p]*"), "order.paid"),
        (("order.*", "order.*.*"), "order.paid"),
        (("*.paid", "order*"), "order.paid"),
    ],
)
def test_the_glob_with_the_most_letters_of_its_own_is_the_most_specific(
    globs: tuple[str, ...], event_type: str
) -> None:
    first = globs[0]
    for order in (globs, globs[::-1]):
        assert pin_for({glob: f"{number}@1" for number, glob in enumerate(order)}, event_type) == (
            f"{order.index(first)}@1"
        )


def test_an_event_type_without_a_glob_has_no_pin() -> None:
    assert pin_for({"pu*": "a@1"}, "Push") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "anything"),
        ("Authorization", "Bearer x"),
        ("detail", "key hbk_abcdefgh1234 given"),
        ("path", "/in/abcdefghijklmnopqrstuvwxyz"),
    ],
)
def test_logs_hide_what_may_be_a_secret(name: str, value: str) -> None:
    event: dict[str, Any] = {"event": "e", name: value}
    shown = logs.redact(None, "info", event)[name]
    assert "***" in shown
    assert not {"anything", "Bearer x", "abcdefgh1234"} & set(shown.split())
