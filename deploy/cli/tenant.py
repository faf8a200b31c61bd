"""`hookberg tenant`: the isolation units: list them, make one, delete one.

Lives here: three commands over `/tenants` and `/jobs`. A deletion says what will happen, is asked for, then watched.
"""

import time
from typing import Annotated, Any

import typer
from rich.console import Console

from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, UrlOption, find
from deploy.cli.objects import JsonOption, print_list, show

LOOK_S = 0.5
SHOWN = 3


def add_to(app: typer.Typer) -> None:
    """Add the group and its commands."""
    group = typer.Typer(name="tenant", help="The isolation units: list, make, delete.", no_args_is_help=True)
    group.command("list", help="List them: one page, as a table or with --json.")(_list)
    group.command("create", help="Make one.")(_create)
    group.command("delete", help="Delete one for ever: asks first, then a job with its progress.")(_delete)
    app.add_typer(group)


def _list(
    as_json: JsonOption = False, url: UrlOption = None, key: KeyOption = None, data_dir: DataDirOption = None
) -> None:
    print_list(find(url, key, None, data_dir), "tenants", as_json=as_json)


def _create(name: str, url: UrlOption = None, key: KeyOption = None, data_dir: DataDirOption = None) -> None:
    show(find(url, key, None, data_dir).call("POST", "/tenants", {"id": name}))


def _delete(
    name: str,
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait until what was accepted has its outcome and rows")
    ] = False,
    drop_tables: Annotated[bool, typer.Option("--drop-tables", help="Drop its tables too")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    wait: Annotated[bool, typer.Option(help="Watch the job to its end")] = True,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server, console = find(url, key, None, data_dir), Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(warning(name, force=force, drop_tables=drop_tables), markup=False)
    if not yes and typer.prompt("Type its name to go on", err=True) != name:
        raise ServerError("another name was typed: nothing was done")
    query = {"force": str(force).lower(), "dropTables": str(drop_tables).lower()}
    job = server.call("DELETE", f"/tenants/{name}", query=query)
    if wait:
        job = watch(server, job, console)
    if as_json:
        show(job)
    elif wait:
        console.print(job_text(name, job), markup=False)
    else:
        console.print(f"job {job['id']}", markup=False)
    if job["state"] == "failed":
        raise ServerError(f"the deletion failed: {job['result']}; delete it once more to go on")


def warning(name: str, *, force: bool, drop_tables: bool) -> str:
    """Return what a deletion does, for who is about to ask for it."""
    first = "at once, undecided records are lost" if force else "when all that was accepted has its outcome and rows"
    tables = "its tables are dropped" if drop_tables else "its tables stay"
    return (
        f"Deleting tenant {name}: keys and URLs end now; topics, state, sources, streams, schemas and secrets go "
        f"{first}; {tables}; the id is never used again."
    )


def watch(server: Server, job: dict[str, Any], console: Console) -> dict[str, Any]:
    """Print each step and what it waits for as they change, until the job ends; return it as it is then."""
    told = None
    while True:
        line = step_text(job)
        if line != told:
            told = line
            console.print(line, markup=False)
        if job["state"] not in {"queued", "running"}:
            return job
        time.sleep(LOOK_S)
        job = server.call("GET", f"/jobs/{job['id']}")


def step_text(job: dict[str, Any]) -> str:
    """Return one line: share done, step, what it waits for."""
    result = job["result"] or {}
    waits = result.get("waitingFor", [])
    more = f" and {len(waits) - SHOWN} more" if len(waits) > SHOWN else ""
    why = f": {'; '.join(waits[:SHOWN])}{more}" if waits else ""
    return f"{job['progress']:4.0%} {result.get('step', job['state'])}{why}"


def job_text(name: str, job: dict[str, Any]) -> str:
    """Return the end of a deletion for a person."""
    result = job["result"] or {}
    if job["state"] != "succeeded":
        return f"job {job['id']}: {job['state']}"
    tables = result.get("tables", "kept")
    said = tables if isinstance(tables, str) else f"{len(tables['dropped'])} dropped, {len(tables['left'])} not ours"
    return f"tenant {name} is gone: {result.get('topicsDeleted', 0)} topics deleted, tables {said}"
