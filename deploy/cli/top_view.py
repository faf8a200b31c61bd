"""How a frame of `hookberg top` looks: two tables and the open alerts, in as many columns as fit.

Lives here: columns, words, colours. Not here: where the figures come from (top.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.cli.delivery_tree import plain

WORDS = 5
_WORSE = {"warn": "yellow", "alarm": "red", "bound": "bold red"}
_STATES = {"running": "green", "failed": "bold red", "waiting": "yellow", "starting": "yellow", "stopped": "dim"}
NAME = 12
_OTHER = 9
"""Lines of a frame that are neither a source nor a stream: its head, two headings with rules, space."""
Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """One answer of `/overview`, with rates where there is an earlier one, and the server it came from."""

    overview: dict[str, Any]
    url: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `least`: terminals narrower than this go without."""

    title: str
    show: Callable[[Line], Text]
    right: bool = True
    least: int = 0


def view(frame: Frame | None, width: int, away: str | None, height: int | None = None) -> RenderableType:
    """Return a frame for a terminal; `away`: why there is no newer one."""
    if frame is None:
        return Text(f"waiting: {away or 'asking'}", style="yellow")
    found = frame.overview
    rows = None if height is None else max(4, height - _OTHER - len(_said(found)))
    parts: list[RenderableType] = [_head(frame, width)]
    if away is not None:
        parts.append(Text(f"no answer: {plain(away)}"[: 2 * width], style="bold yellow"))
    sources, streams = found["sources"], found["streams"]
    half = None if rows is None else max(2, rows // 2)
    if sources is not None:
        parts.append(_table(SOURCES, sources, found["sourcesTotal"], width, half, "sources"))
    if streams is not None:
        room = None if rows is None or half is None else max(2, rows - min(half, len(sources or ())))
        parts.append(_table(STREAMS, streams, found["streamsTotal"], width, room, "streams"))
    return Group(*parts, *(Text(text[:width], style="red", no_wrap=True) for text in _said(found)))


def _said(found: Line) -> list[str]:
    """Return what is wrong in words: streams that failed, webhooks that do not arrive, then alerts."""
    lost = [
        f"! webhook {plain(one['name'])} {one['status']}, {one['pending']:,} pending"
        for one in found.get("webhooks") or ()
        if one["trouble"]
    ]
    failed = [f"! {plain(one['name'])} failed: {one['reason']}" for one in found["streams"] or () if one["reason"]]
    alerts = [f"! {alert['kind']}: {plain(alert['message'])}" for alert in found["alerts"] or ()]
    return [*failed, *lost, *alerts][:WORDS]


def _head(frame: Frame, width: int) -> Text:
    found = frame.overview
    alerts = found["alerts"]
    count = (
        "" if alerts is None else f"{len(alerts)}{'+' if found['moreAlerts'] else ''} alert{'s' * (len(alerts) != 1)}"
    )
    words = [f"tenant {plain(found['tenantId'])}", f"{found['at'][11:19]}Z", count, frame.url]
    text = Text("hookberg top", style="bold")
    text.append("  " + " · ".join(word for word in words if word), style="not bold dim")
    text.truncate(width, overflow="ellipsis")
    return text


def _table(
    columns: Sequence[Column], lines: Sequence[Line], total: int, width: int, room: int | None, what: str
) -> RenderableType:
    shown = lines if room is None else lines[:room]
    fitting = [column for column in columns if column.least <= width]
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True, padding=(0, 1), collapse_padding=True)
    for number, column in enumerate(fitting):
        first = number == 0
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if first else None,
            min_width=NAME if first else None,
        )
    for line in shown:
        table.add_row(*(column.show(line) for column in fitting))
    more = total - len(shown)
    note = Text(f"no {what}" if not total else f"{more} more {what}, better off" if more > 0 else "", style="dim")
    return Group(Text(""), table, note) if note.plain else Group(Text(""), table)


# ---- cells
def _name(line: Line) -> Text:
    off = line.get("paused") or line.get("enabled") is False
    mark = " (paused)" if line.get("paused") else " (off)" if line.get("enabled") is False else ""
    return Text(plain(line["name"]) + mark, style="dim" if off else "")


def _number(value: float | None, suffix: str = "") -> str:
    if value is None:
        return "-"
    for unit, size in (("M", 1_000_000), ("k", 10_000)):
        if abs(value) >= size:
            return f"{value / (1_000 if unit == 'k' else size):.1f}{unit}{suffix}"
    return f"{value:,.0f}{suffix}" if value == int(value) or abs(value) >= 10 else f"{value:.1f}{suffix}"  # noqa: PLR2004


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if value >= 2 * size:
            return f"{value / size:.1f}{unit}"
    return f"{value:.1f}s"


def _plainly(name: str, shown: Callable[[Any], str] = _number, style: Callable[[Line], str] = lambda _: "") -> Any:  # noqa: ANN401 a cell
    return lambda line: Text(shown(line.get(name)), style=style(line))


def _pressed(name: str, shown: Callable[[Any], str] = _number) -> Any:  # noqa: ANN401 a cell
    return lambda line: Text(shown((line["pressure"] or {}).get(name)))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%" if value else "0"


def _level(line: Line) -> Text:
    level = (line["pressure"] or {}).get("level") or "-"
    return Text(level, style=_WORSE.get(level, "green" if level == "calm" else "dim"))


def _refused(line: Line) -> Text:
    per_s = line.get("refusedPerSecond")
    text = _number(line["refused"])
    return Text(f"{text} +{_number(per_s)}/s" if per_s else text, style="yellow" if per_s else "")


def _state(line: Line) -> Text:
    return Text(line["state"], style=_STATES.get(line["state"], ""))


def _late(line: Line) -> str:
    p95 = line["freshnessP95Seconds"]
    return "" if p95 is None else "yellow" if p95 > 2 * line["freshnessSeconds"] else "green"


def _alerts(line: Line) -> Text:
    return Text(str(line["alerts"]) if line["alerts"] else "", style="bold red")


SOURCES = (
    Column("source", _name, right=False),
    Column("platform", lambda line: Text(line["platform"]), right=False, least=90),
    Column("in/s", _plainly("receivedPerSecond")),
    Column("received", _plainly("received"), least=100),
    Column("waiting", _pressed("lagEvents"), least=60),
    Column("behind", _pressed("lagSeconds", _seconds)),
    Column("drain/s", _pressed("drainedPerSecond"), least=80),
    Column("quarantine", _pressed("quarantineRatio", _share), least=80),
    Column("refused", _refused, least=60),
    Column("shed", _plainly("shed"), least=110),
    Column("level", _level, right=False),
    Column("alerts", _alerts, least=50),
)
STREAMS = (
    Column("stream", _name, right=False),
    Column("table", lambda line: Text(plain(line["targetTable"] or "-")), right=False, least=100),
    Column("state", _state, right=False),
    Column("rows/s", _plainly("rowsPerSecond")),
    Column("rows", _plainly("rows"), least=80),
    Column("waiting", _plainly("lagEvents"), least=60),
    Column("behind", _plainly("lagSeconds", _seconds), least=70),
    Column("fresh p50", _plainly("freshnessP50Seconds", _seconds), least=90),
    Column("fresh p95", _plainly("freshnessP95Seconds", _seconds, _late)),
    Column("alerts", _alerts, least=50),
)
