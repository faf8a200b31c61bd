"""`hookberg source stats`: sparklines, and the picture of a source's events."""

from io import StringIO
from typing import Any

from rich.console import Console

from deploy.cli.stats import picture, sparkline, squeezed

AT = "2026-03-18T10:{:02}:00.000Z"


def found(**more: Any) -> dict[str, Any]:
    points = [{"at": AT.format(n), "outcomes": {"clean": n * 100, "shed": 1} if n else {}} for n in range(3)]
    return {
        "source": "github-main", "window": "3m", "eventType": None, "stepSeconds": 60, "since": AT.format(0),
        "until": AT.format(3), "completeUntil": AT.format(1), "outcomes": {"shed": 2, "clean": 300}, "points": points,
        "eventTypes": [{"eventType": "push\x1b[31m", "outcomes": {"clean": 290}}],
        "otherTypes": {"clean": 10, "shed": 2}, "otherTimes": {},
    } | more  # fmt: skip


def printed(answer: dict[str, Any]) -> list[str]:
    out = StringIO()
    Console(file=out, width=160).print(picture(answer))
    return out.getvalue().splitlines()


def test_a_sparkline_shows_little_and_leaves_out_nothing() -> None:
    assert sparkline([0, 1, 400, 800]) == " ▁▄█"
    assert sparkline([5, 5]) == "██"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""


def test_points_are_summed_to_fit() -> None:
    assert squeezed([1, 2, 3, 4, 5], 3) == [3, 7, 5]
    assert squeezed([1, 2], 60) == [1, 2]


def test_the_picture_says_when_how_much_of_what_and_until_when_it_is_complete() -> None:
    head, clean, shed, *table = printed(found())
    assert head == "github-main · 18 Mar 10:00 to 18 Mar 10:03 UTC · points of 1 min · complete until 10:01"
    assert clean.split() == ["clean", "300", "▄█"]
    assert shed.split() == ["shed", "2", "██"]
    body = "\n".join(table)
    assert "push\\x1b[31m" in body
    assert "\x1b" not in body
    assert "(other types)" in body
    assert "too old" not in body


def test_nothing_to_show_is_said_and_who_should_count() -> None:
    head, text = printed(found(outcomes={}, eventTypes=[], points=[], otherTypes={}, completeUntil=None))
    assert "HOOKBERG_STATS_ENABLED" in head
    assert text == "no events"
