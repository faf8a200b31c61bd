"""`hookberg audit`: proves the sums that hold at any time from ledger, topics and tables, and prints them.

Lives here: where Kafka, registry and catalog are, and what is printed. The checks: sinks/audit. Nothing is written.
Exit code 0: every sum holds; 1: one does not, and the first position that breaks it is named.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.cli.client import DataDirOption, ServerError, nearest
from schemas import settings
from schemas.definitions.view import Snapshot, SourceView
from schemas.errors import Refused, Transient
from schemas.reasons import Reason

if TYPE_CHECKING:
    from schemas.backing.registry import Registry
    from sinks.audit.report import Findings, Report, TableRow
    from sinks.read.audit import Known, Question

SHOWN = 20
_WIDTH = 160
_PAGE = 1000
_EVENT_TYPES = "/eventTypes"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit", help="Prove that every delivery ended exactly once: edge, stage and tables.")(_audit)


def _audit(
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", help="A tenant, may be repeated; default: all")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Name or id of one source of the tenant")] = None,
    since: Annotated[str | None, typer.Option("--since", help="ISO 8601: only records stored from then on")] = None,
    data_dir: DataDirOption = None,
) -> None:
    given = find_settings(data_dir, os.environ)
    try:
        report = run(given, tuple(tenant or ()), source, since)
    except Transient as exc:
        raise ServerError(f"the audit could not be finished: {exc}") from None
    show(report, Console(width=None if Console().is_terminal else _WIDTH))
    if report.broken:
        raise typer.Exit(1)


def find_settings(data_dir: Path | None, environ: Mapping[str, str]) -> settings.SinksSettings:
    """Return the writers' settings: of --data-dir, else of HOOKBERG_*, else of the nearest data folder."""
    if data_dir is None and ("HOOKBERG_REGISTRY_URL" in environ or "HOOKBERG_CONFIG" in environ):
        return settings.load(settings.SinksSettings, settings.KNOWN, environ)
    folder = data_dir or nearest(Path.cwd())
    if folder is None:
        return settings.load(settings.SinksSettings, settings.KNOWN, environ)
    return settings.load(settings.SinksSettings, settings.KNOWN, _of_folder(folder, environ))


def _of_folder(data_dir: Path, environ: Mapping[str, str]) -> dict[str, str]:
    from deploy.local.folder import DataFolder  # the local start is no part of the other commands
    from deploy.local.plan import Ports, environment
    from deploy.local.state import read_state

    state = read_state(data_dir)
    if state is None:
        raise ServerError(f"nothing runs on {data_dir}: start `hookberg up` there first, its Kafka holds the topics")
    return environment(
        environ, DataFolder(data_dir.expanduser().absolute()), Ports(0, 0, 0, 0, 0), state["kafkaBootstrapServers"]
    )


def run(given: settings.SinksSettings, wanted: tuple[str, ...], source: str | None, since: str | None) -> "Report":
    """Read everything and return the report; raises `Refused` (no such tenant or source), `Transient`."""
    from deploy.processes.clock import SystemClock  # start-up of the other commands stays quick
    from schemas.backing.kafka import client_config
    from schemas.backing.lake import open_catalog
    from schemas.backing.registry import Registry, Vault
    from sinks.read.audit import audit

    clock = SystemClock()
    registry = Registry(
        given.registry_url.get_secret_value(), vault=Vault.from_settings(given), clock=clock, groups=given.groups
    )
    try:
        registry.check_version()
        known = _known(registry)
    finally:
        registry.close()
    question = _question(known.snapshot, wanted, source, since)
    catalog = open_catalog(given, timeout_s=given.commit_timeout_s)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed}/{task.total}"))
    try:
        with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("reading", total=None)

            def progress(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=total)

            return audit(question, known, client_config(given), catalog, clock, progress)
    finally:
        catalog.close()


def _known(registry: "Registry") -> "Known":
    """Read the registry: counters first, so that none counts a record that is not read."""
    from sinks.read.audit import Known

    snapshot = registry.load()
    counted = {}
    for source_id in snapshot.sources:
        tally = registry.tallies.read(source_id)
        counted[source_id] = (tally.accepted, tally.handshakes)
    changed: set[str] = set()
    after = 0
    while page := registry.changes.page(after, _PAGE):
        after = page[-1].revision
        for change in page:
            if change.entity_type == "stream" and change.op.value == "updated":
                changed |= {change.entity_id for field in change.fields if field.pointer.startswith(_EVENT_TYPES)}
    return Known(snapshot, counted, frozenset(changed))


def _question(snapshot: Snapshot, wanted: tuple[str, ...], source: str | None, since: str | None) -> "Question":
    from sinks.read.audit import Question

    since_ms = None if since is None else _ms(since)
    for tenant in wanted:
        if tenant not in snapshot.tenants:
            raise Refused(Reason.NOT_FOUND, f"no tenant {tenant[:80]!r}")
    tenants = tuple(sorted(set(wanted) or snapshot.tenants))
    if source is None:
        return Question(tenants, None, since_ms)
    found = _sources(snapshot, tenants, source)
    if len(found) != 1:
        what = "no source" if not found else "several tenants have a source"
        raise Refused(Reason.NOT_FOUND, f"{what} {source[:80]!r}: name it by id, or give --tenant")
    return Question((found[0].tenant,), found[0], since_ms)


def _sources(snapshot: Snapshot, tenants: tuple[str, ...], wanted: str) -> list[SourceView]:
    return [one for one in snapshot.sources.values() if one.tenant in tenants and wanted in (one.id, one.name)]


def _ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(Reason.BAD_REQUEST, f"--since {text[:40]!r} is no time: write 2026-03-18T12:00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def show(report: "Report", console: Console) -> None:
    """Print the four tables, then what breaks, first position first."""
    edge = Table("tenant", "source", "2xx", "handshakes", "raw records", "", "notes", title="edge: 2xx <= raw records")
    for e in report.edge:
        counted = (e.accepted, e.handshakes, e.stored)
        edge.add_row(e.tenant, e.source, *map(str, counted), _verdict(e.findings), "; ".join(e.notes))
    outcomes = sorted({name for row in report.stage for name in row.outcomes})
    stage = Table("topic", "partition", "offsets", "items", *outcomes, "lost", "pending", "", "notes")
    stage.title = "stage: items = sum of outcomes"
    for s in report.stage:
        cells = (s.topic, str(s.partition), f"{s.first}-{s.end}", str(sum(s.outcomes.values())))
        counts = (str(s.outcomes.get(name, 0)) for name in outcomes)
        stage.add_row(*cells, *counts, str(s.lost), str(s.pending), _verdict(s.findings), "; ".join(s.notes))
    sums = ("rows", "not selected", "discarded", "replaced", "expired", "pending", "skipped")
    tables = Table("stream", "table", "clean", *sums, "", "notes", title=f"tables: clean = {' + '.join(sums)}")
    for t in _with_sums(report.tables):
        numbers = (t.clean, t.rows, t.not_selected, t.discarded, t.replaced, t.expired, t.pending, t.skipped)
        tables.add_row(t.stream, t.table, *map(str, numbers), _verdict(t.findings), "; ".join(t.notes))
    for table in (edge, stage, tables, _runs(report)):
        if table.row_count:
            console.print(table, markup=False)
    first = report.first()
    if first is None:
        console.print("every sum holds", style="green")
        return
    console.print(f"{report.broken} places break a sum; the first: {first}", style="red", markup=False, soft_wrap=True)
    for row in report.rows():
        for finding in row.findings.in_order()[:SHOWN]:
            if finding != first:
                console.print(f"  {finding}", markup=False, highlight=False, soft_wrap=True)


def _with_sums(rows: "Sequence[TableRow]") -> "Iterator[TableRow]":
    """Yield the rows, and behind those of a stream with several tables their sum."""
    for (_tenant, _stream), found in groupby(rows, key=lambda row: (row.tenant, row.stream)):
        mine = list(found)
        yield from mine
        if len(mine) > 1:
            from sinks.audit.report import sum_of  # start-up of the other commands stays quick

            yield sum_of(mine)


def _runs(report: "Report") -> Table:
    runs = Table(
        "assignment", "role", "topic", "runs", "events", "", "notes", title="runs: one an event and assignment"
    )
    for r in report.runs:
        runs.add_row(
            r.assignment, r.role, r.topic, str(r.runs), str(r.events), _verdict(r.findings), "; ".join(r.notes)
        )
    return runs


def _verdict(findings: "Findings") -> str:
    return "ok" if not findings.count else f"BROKEN {findings.count}"
