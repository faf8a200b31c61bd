"""`hookberg table NAME`: where a stream's table is, what to paste to read it, and the sweep of its orphans.

Lives here: the text. The snippets are the server's (sinks/read/snippets.py), printed as they are to be pasted.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, TenantOption, UrlOption, find
from deploy.cli.dbt import Columns, sources
from deploy.cli.objects import JsonOption, show

EngineOption = Annotated[
    str | None, typer.Option("--engine", help="Print one snippet alone: duckdb, pyiceberg, polars, spark, trino")
]
LatestOption = Annotated[bool, typer.Option("--latest", help="The latest version of every key, not the first rows")]
DirectOption = Annotated[bool, typer.Option("--direct", help="Past the API: with the catalog's own credentials")]
DbtOption = Annotated[bool, typer.Option("--dbt", help="A dbt sources file: every table of the stream, its columns")]
OrphansOption = Annotated[
    bool, typer.Option("--orphans", help="Look for files in its location that nothing refers to; nothing is deleted")
]
DeleteOption = Annotated[bool, typer.Option("--delete", help="With --orphans: delete them")]
HoursOption = Annotated[
    int, typer.Option("--older-than-hours", min=1, help="With --orphans: younger files may be on their way")
]
LOOK_S = 0.5


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("table", help="Where a stream's table is, and how to read it from other tools.")(_table)


def _table(
    stream: Annotated[str, typer.Argument(help="Name of the stream")],
    engine: EngineOption = None,
    latest: LatestOption = False,
    direct: DirectOption = False,
    dbt: DbtOption = False,
    orphans: OrphansOption = False,
    delete: DeleteOption = False,
    older_than_hours: HoursOption = 72,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    if orphans or delete:
        if not orphans:
            raise ServerError("--delete deletes what --orphans finds: give both")
        _sweep(server, stream, {"delete": delete, "olderThanHours": older_than_hours}, as_json=as_json)
        return
    told = server.call("GET", f"/streams/{stream}/table")
    if dbt:
        typer.echo(sources(stream, [*_all(server, stream, told)]))
        return
    if latest and not told.get("latest"):
        raise ServerError(f"{stream} appends without a primaryKey, or upserts: it has no versions to choose from")
    snippets = (told["latest"] if latest else told)["direct" if direct else "snippets"]
    if as_json:
        show(told)
    elif engine is None:
        typer.echo(text(told, snippets))
    elif engine in snippets:
        typer.echo(snippets[engine])
    else:
        raise ServerError(f"no snippet for {engine!r}: {', '.join(snippets)}")


def _all(server: Server, stream: str, own: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Columns]]:
    """Yield every table of a stream with its columns: one, or one a type where the stream is split, its own first."""
    path = f"/streams/{stream}"
    yield own, server.call("GET", f"{path}/columns")["items"]
    for one in own.get("tables", ()):
        query = f"?eventType={quote(one['eventType'], safe='')}"
        yield server.call("GET", f"{path}/table{query}"), server.call("GET", f"{path}/columns{query}")["items"]


def _sweep(server: Server, stream: str, asked: dict[str, Any], *, as_json: bool) -> None:
    job = server.call("POST", f"/streams/{stream}/sweep", asked)
    while job["state"] in {"queued", "running"}:
        time.sleep(LOOK_S)
        job = server.call("GET", f"/jobs/{job['id']}")
    if as_json:
        show(job)
    else:
        typer.echo(swept_text(job))
    if job["state"] == "failed":
        raise ServerError(f"the sweep failed: {job['result']}")


def swept_text(job: Mapping[str, Any]) -> str:
    """Return a sweep for a person: what it found, what it deleted, what it left out and why."""
    if job["state"] != "succeeded":
        return f"job {job['id']}: {job['state']}"
    result = job["result"]
    lines = [f"  {path}" for path in result["shown"]]
    if result["files"] > len(lines):
        lines.append(f"  and {result['files'] - len(lines):,} more")
    lines.append(f"{result['files']:,} orphans, {result['bytes']:,} bytes; {result['deleted']:,} deleted")
    return "\n".join([*lines, *(f"not swept: {why}" for why in result["notSwept"])])


def text(told: Mapping[str, Any], snippets: Mapping[str, str]) -> str:
    """Return a table for a person: its facts, then a snippet an engine, as it is to be pasted."""
    lines = [f"{told['namespace']}.{told['table']}", f"  {told['rows']:,} rows in {told['files']:,} files"]
    lines += [f"  {told['metadataLocation']}"]
    if told.get("latest"):
        lines += [f"  latest version of every key: {told['latest']['view']} (--latest)"]
    lines += [f"  {one['eventType']}: {one['table']}" for one in told.get("tables", ())]
    for engine, snippet in snippets.items():
        lines += ["", f"-- {engine} ".ljust(72, "-"), snippet]
    return "\n".join(lines)
