"""`hookberg source stats NAME`: what became of a source's events, as a picture and a table.

Lives here: one call of `/sources/{id}/stats`, sparklines, the table.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from deploy.cli.client import DataDirOption, KeyOption, TenantOption, UrlOption, find
from deploy.cli.delivery_tree import plain

WIDTH = 60
"""Of a sparkline, in characters; points are summed to fit."""
NARROW = 120
"""Of lines where there is no terminal."""
_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = ".:-=+*#@"
_COLOURS = {"clean": "green", "duplicate": "cyan", "quarantined": "red", "lost": "bold red", "shed": "yellow"}
_ORDER = ("clean", "duplicate", "quarantined")
_SECONDS = {"d": 86_400, "h": 3_600, "min": 60}


def stats(
    name: str,
    window: Annotated[str, typer.Option(help="How far back: 30m, 1h, 24h, 7d")] = "24h",
    event_type: Annotated[str | None, typer.Option("--event-type", help="Only types that fit this glob")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as it came")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Show what became of a source's events, over time and by event type."""
    query = {"window": window} | ({} if event_type is None else {"eventType": event_type})
    found = find(url, key, tenant, data_dir).call("GET", f"/sources/{name}/stats", query=query)
    console = Console()
    if as_json:
        console.print_json(data=found)
        return
    if not console.is_terminal:
        console = Console(width=NARROW)
    console.print(picture(found, bars=_BARS if "utf" in console.encoding.lower() else _PLAIN_BARS))


def picture(found: Mapping[str, Any], *, bars: str = _BARS) -> RenderableType:
    """Return what is printed: a headline, a sparkline for each outcome, a table of event types."""
    outcomes = _ordered(found["outcomes"])
    parts: list[RenderableType] = [_headline(found)]
    if not outcomes:
        parts.append(Text("no events", style="dim"))
    else:
        parts += [_lines(found, outcomes, bars), _types(found, outcomes)]
    return Group(*parts)


def sparkline(values: Sequence[int], bars: str = _BARS) -> str:
    """Return one character a value, the highest bar for the largest; nothing is a blank, and little still shows."""
    most = max(values, default=0)
    return "".join(" " if value <= 0 else bars[-(-value * len(bars) // most) - 1] for value in values)


def squeezed(values: Sequence[int], width: int) -> list[int]:
    """Return at most `width` values: neighbours are summed."""
    each = max(1, -(-len(values) // width))
    return [sum(values[at : at + each]) for at in range(0, len(values), each)]


def _headline(found: Mapping[str, Any]) -> Text:
    since, until = _time(found["since"]), _time(found["until"])
    step = found["stepSeconds"]
    unit = next(unit for unit, seconds in _SECONDS.items() if step % seconds == 0)
    kept = found["completeUntil"]
    done = f"complete until {_time(kept):%H:%M}" if kept else "nobody counts: HOOKBERG_STATS_ENABLED, hookberg streams"
    only = "" if found["eventType"] is None else f" · {plain(found['eventType'])}"
    return Text.assemble(
        (plain(found["source"]), "bold"),
        f"{only} · {since:%d %b %H:%M} to {until:%d %b %H:%M} UTC · points of {step // _SECONDS[unit]} {unit} · ",
        (done, "dim" if kept else "yellow"),
    )


def _lines(found: Mapping[str, Any], outcomes: Sequence[str], bars: str) -> Table:
    table = Table.grid(Column(), Column(justify="right"), Column(no_wrap=True), padding=(0, 2))
    for outcome in outcomes:
        values = [point["outcomes"].get(outcome, 0) for point in found["points"]]
        style = _COLOURS.get(outcome, "magenta")
        line = sparkline(squeezed(values, WIDTH), bars)
        table.add_row(Text(outcome, style), Text(f"{sum(values):,}"), Text(line, style))
    return table


def _types(found: Mapping[str, Any], outcomes: Sequence[str]) -> Table:
    heads = (Column(outcome, justify="right", header_style=_COLOURS.get(outcome, "magenta")) for outcome in outcomes)
    table = Table(Column("event type", overflow="fold"), *heads)
    for row in found["eventTypes"]:
        table.add_row(Text(plain(row["eventType"])), *_cells(row["outcomes"], outcomes))
    for title, name in (("other types", "otherTypes"), ("times too old or ahead", "otherTimes")):
        if found[name]:
            table.add_row(Text(f"({title})", "dim"), *_cells(found[name], outcomes))
    return table


def _cells(sums: Mapping[str, int], outcomes: Iterable[str]) -> list[Text]:
    return [Text(f"{sums[outcome]:,}") if sums.get(outcome) else Text("·", "dim") for outcome in outcomes]


def _ordered(outcomes: Mapping[str, int]) -> list[str]:
    known = [outcome for outcome in _ORDER if outcome in outcomes]
    return known + sorted(outcome for outcome in outcomes if outcome not in known)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
