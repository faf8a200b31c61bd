"""`hookberg doctor`: looks at everything that Hookberg stands on, and says how to mend what is wrong.

Lives here: which settings, and what is printed. The questions: deploy/doctor. Exit code 0: all is well; 1: something
will not do for ever; 2: something does not work.
"""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.cli.client import DataDirOption, nearest
from schemas import settings
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from deploy.doctor import Where
    from schemas.backing.probe import Finding

LIMIT_S = 20.0
NARROW = 120
_NOBODY, _PORTS = "127.0.0.1:1", (8080, 8081, 8082, 8083, 8084)
_MARKS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "bold red")}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", help="Look at everything Hookberg stands on; say how to mend what is wrong.")(_doctor)


def _doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON")] = False,
    limit: Annotated[float, typer.Option("--timeout", min=1, max=120, help="Seconds for all of it")] = LIMIT_S,
    data_dir: DataDirOption = None,
) -> None:
    from deploy.doctor import probes  # start-up of the other commands stays quick
    from schemas.backing.probe import examine, fail

    quiet()
    try:
        found = examine(probes(where(data_dir, os.environ)), limit)
    except ConfigurationError as error:
        found = [fail("settings", str(error), "mend HOOKBERG_* or the file of HOOKBERG_CONFIG (`hookberg settings`)")]
    show(found, as_json=as_json)
    raise typer.Exit(code(found))


def where(data_dir: Path | None, environ: Mapping[str, str]) -> "Where":
    """Return what is examined: --data-dir, else what HOOKBERG_* says, else the nearest data folder."""
    from deploy.doctor import Where
    from deploy.doctor.settings import DoctorSettings
    from deploy.processes.clock import SystemClock

    word, key = secrets.token_hex(6), environ.get("HOOKBERG_KEY", "")
    folder = data_dir
    if folder is None and not {"HOOKBERG_REGISTRY_URL", "HOOKBERG_CONFIG"} & environ.keys():
        folder = nearest(Path.cwd())
    if folder is None:
        given = settings.load(DoctorSettings, settings.KNOWN, without_client(environ))
        return Where(given, SystemClock(), word, key=key)
    env, running = of_folder(folder, environ)
    given = settings.load(DoctorSettings, settings.KNOWN, env)
    return Where(given, SystemClock(), word, local=True, running=running, key=key or admin_key(folder))


def of_folder(data_dir: Path, environ: Mapping[str, str]) -> tuple[dict[str, str], bool]:
    """Return the settings of a data folder's processes, and whether they run."""
    from deploy.local.folder import DataFolder
    from deploy.local.plan import Ports, environment
    from deploy.local.state import read_state

    if not data_dir.is_dir():
        raise ConfigurationError(f"{data_dir} is no folder: give the --data-dir of `hookberg up`")
    state = read_state(data_dir)
    ports = Ports(*_PORTS) if state is None else Ports(**state["ports"])
    bootstrap = _NOBODY if state is None else state["kafkaBootstrapServers"]
    folder = DataFolder(data_dir.expanduser().absolute())
    return environment(environ, folder, ports, bootstrap), state is not None


def admin_key(data_dir: Path) -> str:
    """Return the first API key of a data folder, "" where it cannot be read."""
    try:
        return (data_dir / "admin.key").read_text("utf-8").strip()
    except OSError:
        return ""


def without_client(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what only the command line takes."""
    from deploy.local.plan import NOT_FOR_CHILDREN

    return {name: value for name, value in environ.items() if name not in NOT_FOR_CHILDREN}


def quiet() -> None:
    """Let findings speak: what libraries log is no part of the answer."""
    import logging

    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger().setLevel(logging.CRITICAL)


def code(found: Sequence["Finding"]) -> int:
    """Return the exit code."""
    said = {one.status.value for one in found}
    return 2 if "fail" in said else int("warn" in said)


def show(found: Sequence["Finding"], *, as_json: bool, console: Console | None = None) -> None:
    """Print findings, what is wrong with what to do about it."""
    console = console or Console()
    counts = {name: sum(one.status.value == name for one in found) for name in _MARKS}
    if as_json:
        said = [
            {"check": one.check, "status": one.status.value, "detail": one.detail, "mend": one.mend or None}
            for one in found
        ]
        typer.echo(json.dumps({"status": _worst(counts), "findings": said}, ensure_ascii=False))
        return
    if not console.is_terminal:
        console = Console(width=NARROW, file=console.file)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "check", "found"):
        table.add_column(name, overflow="fold", no_wrap=name != "found")
    for one in found:
        mark, style = _MARKS[one.status.value]
        text = Text(one.detail)
        if one.mend:
            text.append(f"\n→ {one.mend}", style="italic")
        table.add_row(Text(mark, style=style), one.check, text)
    console.print(table)
    console.print(Text(f"{counts['ok']} ok, {counts['warn']} to look after, {counts['fail']} broken", style="bold"))


def _worst(counts: Mapping[str, int]) -> str:
    return next((name for name in ("fail", "warn") if counts[name]), "ok")
