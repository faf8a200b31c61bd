"""`hookberg quarantine`: list what could not become a row, and redrive it once its cause is mended.

Lives here: two commands over `/quarantine` and `/jobs`. A redrive is counted first, asked for, then watched.
"""

import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, TenantOption, UrlOption, find
from deploy.cli.objects import JsonOption, print_list, show

LOOK_S = 0.5
SHOWN = 20
SourceOption = Annotated[str | None, typer.Option("--source", help="Name or id of a source")]
TypeOption = Annotated[str | None, typer.Option("--event-type", help="Event type, for example charge.succeeded")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Reason code, for example schema_violation")]
SchemaOption = Annotated[str | None, typer.Option("--schema", help="subject@version that it was checked against")]
AfterOption = Annotated[str | None, typer.Option("--after", help="Received at or after this RFC 3339 time")]
BeforeOption = Annotated[str | None, typer.Option("--before", help="Received before this RFC 3339 time")]


def add_to(app: typer.Typer) -> None:
    """Add the group and its commands."""
    group = typer.Typer(name="quarantine", help="What could not become a row, and why.", no_args_is_help=True)
    group.command("list", help="List it, newest first: one page, as a table or with --json.")(_list)
    group.command("redrive", help="Decide it again: count, ask, then a job with its progress.")(_redrive)
    app.add_typer(group)


def _list(
    source: SourceOption = None,
    event_type: TypeOption = None,
    reason: ReasonOption = None,
    schema: SchemaOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    kind: Annotated[str | None, typer.Option("--kind", help="open (default), failed, resolved or all")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    query = _filters(source, event_type, reason, schema, after, before) | ({"kind": kind} if kind else {})
    print_list(find(url, key, tenant, data_dir), "quarantine", as_json=as_json, query=query)


def _redrive(
    source: SourceOption = None,
    event_type: TypeOption = None,
    reason: ReasonOption = None,
    schema: SchemaOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    ids: Annotated[list[str] | None, typer.Option("--id", help="Event id; may be given several times")] = None,
    as_: Annotated[
        str | None, typer.Option("--as", help="distinct: other contents of known events get ids of their own")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="At most so many rows")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    wait: Annotated[bool, typer.Option(help="Watch the job to its end")] = True,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server, console = find(url, key, tenant, data_dir), Console(stderr=True)
    body: dict[str, Any] = dict(_filters(source, event_type, reason, schema, after, before))
    body |= {name: value for name, value in (("ids", ids), ("as", as_), ("limit", limit)) if value}
    found = server.call("POST", "/quarantine/redrive", {**body, "dryRun": True})
    console.print(count_text(found), markup=False, highlight=False)
    if dry_run or not found["matching"]:
        if as_json:
            show(found)
        return
    if not yes:
        typer.confirm(f"Redrive {found['matching']} rows?", abort=True, err=True)
    job = server.call("POST", "/quarantine/redrive", body)
    if wait:
        job = watch(server, job, console)
    if as_json:
        show(job)
    else:
        console.print(job_text(job), markup=False, highlight=False, soft_wrap=True)
    if job["state"] == "failed":
        raise ServerError(f"the redrive failed: {(job['result'] or {}).get('message', 'see the log of the stage')}")


def watch(server: Server, job: dict[str, Any], console: Console) -> dict[str, Any]:
    """Show a job's progress until it ends; return it as it is then."""
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), console=console
    )
    with bar:
        task = bar.add_task(job["state"], total=1.0)
        while job["state"] in {"queued", "running"}:
            time.sleep(LOOK_S)
            job = server.call("GET", f"/jobs/{job['id']}")
            bar.update(task, completed=job["progress"], description=job["state"])
    return job


def count_text(found: dict[str, Any]) -> str:
    """Return a dry run for a person."""
    reasons = ", ".join(f"{n} {reason}" for reason, n in found["byReason"].items())
    return f"{found['matching']} rows in quarantine match" + (f" ({reasons})" if reasons else ": nothing to redrive")


def job_text(job: dict[str, Any]) -> str:
    """Return a redrive for a person: its counts, and the first rows that were not redriven."""
    result = job["result"] or {}
    if job["state"] != "succeeded":
        return f"job {job['id']}: {job['state']}"
    names = ("redriven", "gone", "skipped", "unreadable")
    lines = [f"job {job['id']}: " + ", ".join(f"{result[name]} {name}" for name in names)]
    for row in result["left"][:SHOWN]:
        at = row["position"]
        place = f"{at['topicId']}/{at['partition']}/{at['offset']}/{at['item']}"
        lines.append(f"  {place} {row['outcome']}: {row['why']}")
    if len(result["left"]) > SHOWN:
        lines.append(f"  and more: GET /api/v1/jobs/{job['id']}")
    if result["notInTable"]:
        lines.append(f"  {result['notInTable']} records were not in the table yet: redrive again")
    return "\n".join(lines)


def _filters(
    source: str | None,
    event_type: str | None,
    reason: str | None,
    schema: str | None,
    after: str | None,
    before: str | None,
) -> dict[str, str]:
    given = {"source": source, "eventType": event_type, "reason": reason, "schema": schema}
    given |= {"after": after, "before": before}
    return {name: value for name, value in given.items() if value is not None}
