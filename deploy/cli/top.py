"""`hookberg top`: sources and streams now, worst first, in a terminal; one call of `GET /overview` a frame.

Lives here: asking, rates, the loop. How a frame looks: top_view.py. A server that is away is waited for.
"""

import io
import itertools
import json
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.live import Live

from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, TenantOption, UrlOption, find
from deploy.cli.top_view import Frame, view

LEAST_S, MOST_S = 0.5, 60.0
NARROW = 110
_TOTALS = ("received", "refused", "shed", "rows")
_REMOTE_FONT = re.compile(r"\s*@font-face \{\{.*?\}\}", re.DOTALL)
"""Rich's pictures name fonts on a server of somebody else; ours are drawn with what the reader has."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("top", help="Show sources and streams now, worst first: rates, lag, freshness, refusals, alerts.")(_top)


def _top(
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one frame as JSON, with rates, and end")] = False,
    interval: Annotated[float, typer.Option(min=LEAST_S, max=MOST_S, help="Seconds between frames")] = 2.0,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Sources and streams asked for, worst first")] = 50,
    svg: Annotated[Path | None, typer.Option(help="Write one frame as a picture to FILE and end")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    console = Console()
    ask = Asking(server, limit)
    if as_json:
        typer.echo(json.dumps(two(ask, interval).overview, ensure_ascii=False))
    elif svg is not None:
        svg.write_text(picture(two(ask, interval)), "utf-8")
    elif once or not console.is_terminal:
        if not console.is_terminal:
            console = Console(width=NARROW)
        console.print(view(two(ask, interval), console.width, None))
    else:
        follow(ask, console, interval)


class Asking:
    """Asks for overviews and works rates out from the one before; a restarted server's counters may start anew."""

    def __init__(self, server: Server, limit: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._server, self._limit, self._monotonic = server, limit, monotonic
        self._before: tuple[float, dict[str, Any]] | None = None

    def frame(self) -> Frame:
        """Return the next frame; raises `ServerError`."""
        found = self._server.call("GET", "/overview", query={"limit": str(self._limit)})
        now = self._monotonic()
        if self._before is not None:
            rate(found, self._before[1], now - self._before[0])
        self._before = now, found
        return Frame(found, self._server.url)


def rate(found: dict[str, Any], before: Mapping[str, Any], seconds: float) -> None:
    """Put `…PerSecond` beside each total of `found`; None where there is nothing to compare with."""
    for kind in ("sources", "streams"):
        known = {one["id"]: one for one in before.get(kind) or ()}
        for line in found.get(kind) or ():
            last = known.get(line["id"])
            for name in _TOTALS:
                if name in line:
                    grown = None if last is None or seconds <= 0 else line[name] - last[name]
                    line[f"{name}PerSecond"] = None if grown is None or grown < 0 else round(grown / seconds, 2)


def two(ask: Asking, interval: float, sleep: Callable[[float], None] = time.sleep) -> Frame:
    """Return the second of two frames: it has rates."""
    ask.frame()
    sleep(interval)
    return ask.frame()


def follow(
    ask: Asking, console: Console, interval: float, *, frames: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:  # fmt: skip
    """Show frames until ctrl-C, or so many; while the server is away the last one, and since when."""
    frame, away, since = None, None, 0.0
    with Live(console=console, auto_refresh=False, screen=console.is_terminal, vertical_overflow="crop") as live:
        try:
            for _ in itertools.count() if frames is None else range(frames):
                try:
                    frame, away = ask.frame(), None
                except ServerError as error:
                    since = since if away else time.monotonic()
                    away = f"{error} ({time.monotonic() - since:.0f} s)"
                live.update(view(frame, console.width, away, console.height), refresh=True)
                sleep(interval)
        except KeyboardInterrupt:
            return


def picture(frame: Frame) -> str:
    """Return a frame as SVG that refers to nothing elsewhere."""
    console = Console(record=True, width=NARROW, file=io.StringIO())
    console.print(view(frame, NARROW, None))
    made = console.export_svg(title="hookberg top", code_format=_REMOTE_FONT.sub("", CONSOLE_SVG_FORMAT))
    made = re.sub(r"<!--.*?-->\s*", "", made)
    return made.replace("Fira Code, monospace", "monospace").replace("Fira Code", "monospace")
