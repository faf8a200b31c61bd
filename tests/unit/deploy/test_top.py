"""`hookberg top`: rates from two answers, the worst first, on terminals of every width, through a server's restart."""

import io
import json
from copy import deepcopy
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from deploy.cli import app, top
from deploy.cli.client import Server, ServerError
from deploy.cli.top import Asking, follow, picture, rate
from deploy.cli.top_view import Frame, view

SOURCE: dict[str, Any] = {
    "id": "s1", "name": "github-main", "platform": "github", "enabled": True, "paused": False, "received": 1000,
    "refused": 4, "shed": 0, "lastEventAt": None, "alerts": 1, "trouble": 300,
    "pressure": {
        "level": "warn", "lagEvents": 12_345, "lagSeconds": 150.0, "drainedPerSecond": 250.0, "quarantineRatio": 0.031,
        "tablesLagEvents": 0, "tablesLagSeconds": 0.0,
    },
}  # fmt: skip
STREAM: dict[str, Any] = {
    "id": "t1", "name": "github-events", "targetTable": "github_events", "desired": "running", "state": "failed",
    "reason": "offsets_expired", "rows": 900, "lagEvents": 7, "lagSeconds": 1.5, "freshnessSeconds": 5,
    "freshnessP50Seconds": 2.2, "freshnessP95Seconds": 31.0, "lastCommitAt": None, "alerts": 0, "trouble": 1000,
}  # fmt: skip
OVERVIEW: dict[str, Any] = {
    "tenantId": "demo", "at": "2026-03-18T10:00:00.123Z", "sources": [SOURCE], "sourcesTotal": 8, "streams": [STREAM],
    "streamsTotal": 1, "moreAlerts": False,
    "alerts": [{"id": "a", "kind": "depth", "entityType": "source", "entityId": "s1", "message": "12,345 wait",
                "openedAt": "2026-03-18T10:00:00Z"}],
}  # fmt: skip


class Scripted(Server):
    """Answers what it is told to, in turn; an exception is raised."""

    answers: list[Any]

    def call(self, method: str, path: str, body: Any = None, *, query: dict[str, str] | None = None) -> Any:
        assert (method, path, body, query) == ("GET", "/overview", None, {"limit": "50"})
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return deepcopy(found)


def scripted(*answers: Any) -> Scripted:
    server = Scripted("http://127.0.0.1:8080", "http://127.0.0.1:8081", "hbk_x", "demo", None)
    object.__setattr__(server, "answers", list(answers))
    return server


def drawn(frame: Frame | None, width: int, away: str | None = None, height: int | None = None) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(view(frame, width, away, height))
    return out.getvalue()


def later(**more: Any) -> dict[str, Any]:
    return OVERVIEW | {"sources": [SOURCE | more]}


def test_rates_are_what_grew_between_two_answers_and_unknown_after_a_fall() -> None:
    found = later(received=1100, refused=5)
    rate(found, OVERVIEW, 4.0)
    line = found["sources"][0]
    assert (line["receivedPerSecond"], line["refusedPerSecond"], line["shedPerSecond"]) == (25.0, 0.25, 0.0)
    for before, seconds in ((later(received=5000), 4.0), (later(id="other"), 4.0), (OVERVIEW, 0.0)):
        found = later()
        rate(found, before, seconds)
        assert found["sources"][0]["receivedPerSecond"] is None


@pytest.mark.parametrize("width", [30, 40, 60, 80, 110, 200])
def test_a_frame_fits_every_width_and_keeps_what_matters(width: int) -> None:
    found = later(received=1100)
    rate(found, OVERVIEW, 4.0)
    said = drawn(Frame(found, "http://127.0.0.1:8080"), width)
    assert max(len(line) for line in said.splitlines()) <= width
    for word in ("warn", "behind", "failed", "rows/s", "fresh p95"):
        assert word in said or width < 60, (width, word)
    if width >= 110:
        words = "25", "2.5m", "3.1%", "12.3k", "31.0s", "7 more sources", "offsets_expired", "! depth: 12,345 wait"
        for word in words:
            assert word in said, word


def test_a_frame_fits_its_height() -> None:
    many = OVERVIEW | {
        "sources": [SOURCE | {"name": f"source-{number}"} for number in range(90)], "sourcesTotal": 90,
        "streams": [STREAM | {"name": f"stream-{number}"} for number in range(90)], "streamsTotal": 90,
    }  # fmt: skip
    said = drawn(Frame(many, "http://x"), 100, None, 24)
    assert len(said.splitlines()) <= 24
    assert "source-0" in said
    assert "stream-0" in said


def test_webhooks_that_do_not_arrive_are_told_in_a_line_each() -> None:
    hooks = [{"name": "lost", "status": "retryLimitReached", "pending": 1234, "trouble": 300},
             {"name": "well", "status": "active", "pending": 2, "trouble": 0}]  # fmt: skip
    said = drawn(Frame(OVERVIEW | {"webhooks": hooks}, "http://x"), 120)
    assert "! webhook lost retryLimitReached, 1,234 pending" in said
    assert "well" not in said


def test_what_others_wrote_moves_no_cursor() -> None:
    hostile = later(name="\x1b[2Jx\n[red]y")
    said = drawn(Frame(hostile, "http://x"), 120)
    assert "\x1b" not in said
    assert "[red]y" in said


def test_lists_that_the_key_may_not_read_are_left_out() -> None:
    said = drawn(Frame(OVERVIEW | {"sources": None, "alerts": None}, "http://x"), 100)
    assert "level" not in said
    assert "github-events" in said


def test_a_server_that_is_away_is_waited_for_with_the_last_frame() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=False)
    away = ServerError("http://127.0.0.1:8080 does not answer")
    slept: list[float] = []
    follow(Asking(scripted(away, OVERVIEW, away, later(received=2000)), 50), console, 1.5, frames=4, sleep=slept.append)
    assert slept == [1.5] * 4
    said = drawn(Frame(OVERVIEW, "http://x"), 120, "http://127.0.0.1:8080 does not answer (3 s)")
    assert "no answer: http://127.0.0.1:8080 does not answer (3 s)" in said
    assert "github-main" in said
    assert "waiting: gone" in drawn(None, 120, "gone")


def test_one_frame_is_printed_or_told_as_json_with_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "find", lambda *_: scripted(OVERVIEW, later(received=1500)))
    done = CliRunner().invoke(app, ["top", "--json", "--interval", "0.5"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["sources"][0]["receivedPerSecond"] > 0
    monkeypatch.setattr(top, "find", lambda *_: scripted(OVERVIEW, OVERVIEW))
    done = CliRunner().invoke(app, ["top", "--once", "--interval", "0.5"])
    assert "github-main" in done.output
    assert CliRunner().invoke(app, ["top", "--interval", "0.1"]).exit_code == 2


def test_a_picture_is_small_and_refers_to_nothing_elsewhere() -> None:
    made = picture(Frame(OVERVIEW, "http://127.0.0.1:8080"))
    assert made.startswith("<svg")
    assert len(made) < 60_000
    assert "@font-face" not in made
    assert "url(http" not in made.replace(" ", "")
    assert "github-main" in made
