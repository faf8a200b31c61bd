"""Commands of the group `schema` beyond list, get, create, delete: versions, vendors' bundles, dry runs.

Lives here: calls of `/schemas` and what a person sees of them. Not here: what bundles look like (bundles.py).
"""

import fnmatch
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from deploy.cli import bundles
from deploy.cli.bundles import BundleError, Entry
from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, TenantOption, UrlOption, find

ADDED, UNCHANGED, REFUSED = "added", "unchanged", "refused"
POLL_S = 0.5
KindArgument = Annotated[str, typer.Argument(help="github, openapi or cloudevents")]
PrefixOption = Annotated[str | None, typer.Option(help="What subjects begin with, in place of the bundle's own")]
OnlyOption = Annotated[str, typer.Option(help="Glob over subjects: import these only")]
ListOption = Annotated[bool, typer.Option("--list", help="Only show what would be imported")]
PinOption = Annotated[str | None, typer.Option(help="A source whose event types are then pinned to what was imported")]
CompatibilityOption = Annotated[str, typer.Option(help="Of new subjects: none, backward, forward or full")]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one entry; `pin` None where it was refused."""

    entry: Entry
    what: str
    pin: str | None
    why: str = ""


def bring(server: Server, entry: Entry, compatibility: str) -> Imported:
    """Bring one entry into the registry: the subject if it is new, the version if no version has its bytes."""
    try:
        server.call("POST", "/schemas", {"subject": entry.subject, "compatibility": compatibility})
    except ServerError as exc:
        if not str(exc).startswith("name_taken"):
            raise
    before = server.call("GET", f"/schemas/{entry.subject}")["latestVersion"]
    try:
        made = server.call("POST", f"/schemas/{entry.subject}/versions", {"schema": entry.schema})
    except ServerError as exc:
        if not str(exc).startswith(("incompatible_schema", "invalid_definition", "body_too_large")):
            raise
        return Imported(entry, REFUSED, None, str(exc).splitlines()[0])
    return Imported(entry, ADDED if made["version"] > before else UNCHANGED, made["pin"])


def pinned(imported: Iterable[Imported]) -> dict[str, str]:
    """Return the pins of what was imported: event-type glob -> `subject@version`."""
    return {glob: one.pin for one in imported if one.pin is not None for glob in one.entry.event_types}


def import_(  # one parameter an option
    kind: KindArgument,
    file: Annotated[str, typer.Argument(help="The bundle; - reads standard input")],
    prefix: PrefixOption = None,
    only: OnlyOption = "*",
    list_: ListOption = False,
    pin: PinOption = None,
    compatibility: CompatibilityOption = "none",
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Turn a vendor's bundle into subjects and versions; again, it adds what is new and nothing else."""
    entries = _entries(kind, file, prefix, only)
    if list_:
        _print_entries(entries)
        return
    server = find(url, key, tenant, data_dir)
    done: list[Imported] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for entry in progress.track(entries, description=f"importing {len(entries)} subjects"):
            done.append(bring(server, entry, compatibility))  # noqa: PERF401 each is a call that may end this
    _print_summary(done)
    if pin is not None:
        source = server.call("GET", f"/sources/{pin}")
        pins = source["pins"] | pinned(done)
        server.call("PATCH", f"/sources/{pin}", {"pins": pins})
        Console().print(f"{pin} pins {len(pins)} event types", markup=False)
    if any(one.what == REFUSED for one in done):
        raise typer.Exit(1)


def dry_run(
    subject: str,
    file: Annotated[str | None, typer.Argument(help="A candidate; without it give --version")] = None,
    version: Annotated[int | None, typer.Option(help="A version to try instead of a file")] = None,
    last: Annotated[int, typer.Option(help="Raw records looked at, the newest of each topic")] = 1000,
    source: Annotated[str | None, typer.Option(help="Only events of this source")] = None,
    event_type: Annotated[str | None, typer.Option(help="Glob over event types, in place of what is pinned")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Try a candidate over the newest raw events and print what would change."""
    server = find(url, key, tenant, data_dir)
    asked = {"schema": None if file is None else read_json(file), "version": version, "last": last}
    asked |= {"source": source, "eventType": event_type}
    given = {name: value for name, value in asked.items() if value is not None}
    job = server.call("POST", f"/schemas/{subject}/dry-run", given)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("dry run", total=1.0)
        while job["state"] in {"queued", "running"}:
            time.sleep(POLL_S)
            job = server.call("GET", f"/jobs/{job['id']}")
            progress.update(task, completed=job["progress"])
    if job["state"] == "failed":
        raise ServerError(f"the dry run failed: {job['result'].get('message') or job['result'].get('error')}")
    _print_dry_run(job["result"])


def add_version(
    subject: str,
    file: Annotated[str, typer.Argument(help="JSON file; - reads standard input")],
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Add a version: a JSON Schema file."""
    made = find(url, key, tenant, data_dir).call("POST", f"/schemas/{subject}/versions", {"schema": read_json(file)})
    Console().print_json(json.dumps(made))


def add_to(group: typer.Typer) -> None:
    """Add the commands to the group `schema`."""
    group.command("add", help="Add a version: a JSON Schema file.")(add_version)
    group.command("import", help="Turn a vendor's bundle into subjects and versions.")(import_)
    group.command("dry-run", help="Try a candidate over the newest raw events.")(dry_run)


def read_json(file: str) -> Any:  # noqa: ANN401 JSON
    """Read a JSON file or standard input; raise `ServerError` with the file and the place of the fault."""
    try:
        if file == "-":
            return json.loads(typer.get_text_stream("stdin").read())
        with open(file, encoding="utf-8") as found:  # noqa: PTH123 - is no path
            return json.load(found)
    except (OSError, ValueError) as exc:
        raise ServerError(f"{file}: {exc}") from None


def _entries(kind: str, file: str, prefix: str | None, only: str) -> list[Entry]:
    try:
        found = bundles.read(kind, read_json(file), prefix)
    except (BundleError, AttributeError, TypeError, KeyError) as exc:
        said = str(exc) if isinstance(exc, BundleError) else "it is not shaped like one"
        raise ServerError(f"{file}: no {kind} bundle: {said}") from None
    chosen = [entry for entry in found if fnmatch.fnmatchcase(entry.subject, only)]
    if not chosen:
        raise ServerError(f"{file}: none of its {len(found)} subjects matches {only!r}")
    return chosen


def _print_entries(entries: Sequence[Entry]) -> None:
    table = Table(*(Column(name, overflow="fold") for name in ("subject", "event types", "bytes")))
    for entry in entries:
        table.add_row(entry.subject, ", ".join(entry.event_types), f"{len(json.dumps(entry.schema)):,}")
    Console().print(table)
    Console().print(f"{len(entries)} subjects; nothing was sent", markup=False)


def _print_summary(done: Sequence[Imported]) -> None:
    table = Table(*(Column(name, overflow="fold") for name in ("subject", "version", "what", "event types")))
    for one in done:
        version = "" if one.pin is None else one.pin.rpartition("@")[2]
        table.add_row(one.entry.subject, version, one.what, one.why or ", ".join(one.entry.event_types))
    counts = {what: sum(one.what == what for one in done) for what in (ADDED, UNCHANGED, REFUSED)}
    Console().print(table)
    Console().print(", ".join(f"{n} {what}" for what, n in counts.items()), markup=False)


def _print_dry_run(result: dict[str, Any]) -> None:
    console = Console()
    console.print(f"{result['candidate']}: {result['judged']} of {result['events']} events judged", markup=False)
    for name, words in (
        ("newlyFailing", "newly failing"), ("newlyPassing", "newly passing"),
        ("stillPassing", "passing as before"), ("stillFailing", "failing as before"),
    ):  # fmt: skip
        console.print(f"  {result[name]:>8} {words}", markup=False, highlight=False)
    if result["places"]:
        table = Table(*(Column(name, overflow="fold") for name in ("count", "verdict", "event type", "pointer", "why")))
        for place in result["places"]:
            table.add_row(str(place["count"]), place["verdict"], place["eventType"], place["pointer"], place["message"])
        console.print(table)
