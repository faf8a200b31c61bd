"""`hookberg table NAME`: where a stream's table is, and what to paste to read it.

Lives here: the text. The snippets are the server's (sinks/read/snippets.py), printed as they are to be pasted.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from deploy.cli.client import DataDirOption, KeyOption, ServerError, TenantOption, UrlOption, find
from deploy.cli.objects import JsonOption, show

EngineOption = Annotated[
    str | None, typer.Option("--engine", help="Print one snippet alone: duckdb, pyiceberg, polars, spark, trino")
]
LatestOption = Annotated[bool, typer.Option("--latest", help="The latest version of every key, not the first rows")]
DirectOption = Annotated[bool, typer.Option("--direct", help="Past the API: with the catalog's own credentials")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("table", help="Where a stream's table is, and how to read it from other tools.")(_table)


def _table(
    stream: Annotated[str, typer.Argument(help="Name of the stream")],
    engine: EngineOption = None,
    latest: LatestOption = False,
    direct: DirectOption = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    told = find(url, key, tenant, data_dir).call("GET", f"/streams/{stream}/table")
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


def text(told: Mapping[str, Any], snippets: Mapping[str, str]) -> str:
    """Return a table for a person: its facts, then a snippet an engine, as it is to be pasted."""
    lines = [f"{told['namespace']}.{told['table']}", f"  {told['rows']:,} rows in {told['files']:,} files"]
    lines += [f"  {told['metadataLocation']}"]
    if told.get("latest"):
        lines += [f"  latest version of every key: {told['latest']['view']} (--latest)"]
    for engine, snippet in snippets.items():
        lines += ["", f"-- {engine} ".ljust(72, "-"), snippet]
    return "\n".join(lines)
