"""Commands over the objects of the control plane: source, stream, schema, role, key, platforms.

Lives here: one table of groups; each command is one call of the API, printed as a table or, with --json, as it came.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Column, Table

from deploy.cli import role, schema
from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, TenantOption, UrlOption, find
from deploy.cli.drift import drift
from deploy.cli.stats import stats

JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as it came")]
FileArgument = Annotated[Path, typer.Argument(help="JSON file; - reads standard input")]
PAGE = "100"

COLUMNS: dict[str, tuple[str, ...]] = {
    "sources": ("name", "platform", "partitioning", "enabled", "paused", "version"),
    "streams": ("name", "desired", "state", "topics", "targetTable", "version"),
    "schemas": ("subject", "compatibility", "latestVersion"),
    "quarantine": ("receivedAt", "source", "eventType", "reason", "pointer", "message", "eventId"),
    "keys": ("id", "name", "tenantId", "permissions"),
    "platforms": ("name", "title", "docs"),
    "roles": ("name", "role", "target", "topic", "open"),
    "tenants": ("id", "createdAt"),
}
GROUPS = {"source": "sources", "stream": "streams", "schema": "schemas", "role": "roles", "key": "keys"}
GROUP_HELP = {
    "source": "Registered webhook senders: their auth, pins and counters.",
    "stream": "Topics into Iceberg tables: make, start, stop, watch.",
    "schema": "Pinned JSON Schemas and their versions.",
    "role": "Which events make runs, and for which target.",
    "key": "API keys and what they may do.",
}


def add_to(app: typer.Typer) -> None:
    """Add the groups and their commands."""
    for name, path in GROUPS.items():
        group = typer.Typer(name=name, help=GROUP_HELP[name], no_args_is_help=True)
        _add_common(group, path)
        if name == "stream":
            _add_stream_actions(group)
        if name == "schema":
            schema.add_to(group)
        if name == "role":
            role.add_to(group)
        if name == "source":
            group.command("stats", help="What became of its events, over time.")(stats)
            group.command("drift", help="Where its events fail their schemas, since when, how often.")(drift)
            _add_pauses(group)
        app.add_typer(group)
    app.command("platforms", help="Every vendor adapter with its limits and set-up steps.")(_platforms)


def _add_common(group: typer.Typer, path: str) -> None:
    _add_list(group, path)

    @group.command("get", help="Show one, by name or id.")
    def get(
        name: str,
        url: UrlOption = None,
        key: KeyOption = None,
        tenant: TenantOption = None,
        data_dir: DataDirOption = None,
    ) -> None:
        show(find(url, key, tenant, data_dir).call("GET", f"/{path}/{name}"))

    @group.command("create", help="Create one from a JSON file.")
    def create(
        file: FileArgument,
        url: UrlOption = None,
        key: KeyOption = None,
        tenant: TenantOption = None,
        data_dir: DataDirOption = None,
    ) -> None:
        show(find(url, key, tenant, data_dir).call("POST", f"/{path}", read_json(file)))

    @group.command("delete", help="Delete one, by name or id.")
    def delete(
        name: str,
        url: UrlOption = None,
        key: KeyOption = None,
        tenant: TenantOption = None,
        data_dir: DataDirOption = None,
    ) -> None:
        find(url, key, tenant, data_dir).call("DELETE", f"/{path}/{name}")
        Console().print(f"deleted {name}", markup=False)


def _add_list(group: typer.Typer, path: str) -> None:
    @group.command("list", help="List them: one page, as a table or with --json.")
    def list_(
        as_json: JsonOption = False,
        url: UrlOption = None,
        key: KeyOption = None,
        tenant: TenantOption = None,
        data_dir: DataDirOption = None,
    ) -> None:
        print_list(find(url, key, tenant, data_dir), path, as_json=as_json)


def _add_stream_actions(group: typer.Typer) -> None:
    def make(action: str, method: str, help_: str) -> None:
        @group.command(action, help=help_)
        def act(
            name: str,
            url: UrlOption = None,
            key: KeyOption = None,
            tenant: TenantOption = None,
            data_dir: DataDirOption = None,
        ) -> None:
            show(find(url, key, tenant, data_dir).call(method, f"/streams/{name}/{action}"))

    make("start", "POST", "Start a stream: its table follows its topics.")
    make("stop", "POST", "Stop a stream; events wait in Kafka.")
    make("restart", "POST", "Stop and start a stream, also after it failed.")
    make("status", "GET", "State, rows, last commit, lag and freshness.")


def _add_pauses(group: typer.Typer) -> None:
    def make(action: str, help_: str, *, paused: bool) -> None:
        @group.command(action, help=help_)
        def act(
            name: str,
            url: UrlOption = None,
            key: KeyOption = None,
            tenant: TenantOption = None,
            data_dir: DataDirOption = None,
        ) -> None:
            find(url, key, tenant, data_dir).call("PATCH", f"/sources/{name}", {"paused": paused})
            Console().print(f"{name} is {'paused' if paused else 'processed again'}", markup=False)

    make("pause", "Accept and keep what comes, decide nothing: it waits in Kafka.", paused=True)
    make("resume", "Decide what waits, in order, and go on.", paused=False)


def _platforms(
    name: Annotated[str | None, typer.Argument(help="One vendor: what it needs and how to set it up")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, None, data_dir)
    if name is None:
        print_list(server, "platforms", as_json=as_json)
        return
    one = server.call("GET", f"/platforms/{name}")
    if as_json:
        show(one)
    else:
        Console().print(platform_text(one), markup=False, highlight=False, soft_wrap=True)


_HERE_ONLY = " (of this machine only: set HOOKBERG_PUBLIC_INGEST_URL)"
_NEEDED = {"secrets": ["THE SECRET"], "audience": "THE AUDIENCE"}


def platform_text(one: dict[str, Any]) -> str:
    """Return a vendor adapter for a person: its steps, numbered, then how it proves itself and its limits."""
    auth = {"type": one["auth"]} | {name: _NEEDED[name] for name in one["needs"]}
    body = json.dumps({"platform": one["name"], "auth": auth})
    limits = one["limits"]
    lines = [f"{one['title']} ({one['name']})", f"  {one['docs']}", "", "Set up"]
    lines += [f"  {number}. {step}" for number, step in enumerate(one["setup"], 1)]
    lines += ["", "The source", f"  echo '{body}' | hookberg source create -"]
    lines += [f"  its URL: {one['ingestUrl']}{_HERE_ONLY if _is_local(one['ingestUrl']) else ''}", "", "Proof"]
    for proof in one["proofs"]:
        age = f", within {proof['toleranceSeconds']} s" if proof["toleranceSeconds"] else ""
        lines.append(
            f"  {proof['scheme']}: {proof['algorithm']} in {proof['standsIn']}{age}; covers: {proof['coverage']}"
        )
    if not one["proofs"]:
        lines.append("  none that is checked here: the secret URL, or an API key, is the credential")
    answer = f"answer within {limits['answerWithinSeconds']:g} s with {one['successStatus']}"
    retries = f"retries for {limits['retriesForSeconds'] / 3600:g} h"
    return "\n".join([*lines, "", "Limits", f"  {answer}; {retries}; bodies to {limits['bodyBytes']:,} bytes"])


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}


def print_list(server: Server, path: str, *, as_json: bool, query: Mapping[str, str] | None = None) -> None:
    """Print one page of a list as a table, or as JSON."""
    page = server.call("GET", f"/{path}", query={"limit": PAGE, **(query or {})})
    if as_json:
        show(page)
        return
    table = Table(*(Column(name, overflow="fold") for name in COLUMNS[path]))
    for item in page["items"]:
        table.add_row(*(_cell(item.get(column)) for column in COLUMNS[path]))
    Console().print(table)
    if page.get("nextCursor"):
        Console().print(f"more: use the API with cursor={page['nextCursor']}", markup=False)


def show(value: Any) -> None:  # noqa: ANN401 JSON
    """Print JSON for a person: indented, coloured on a terminal."""
    Console().print_json(json.dumps(value))


def read_json(file: Path) -> Any:  # noqa: ANN401 JSON
    """Read a JSON file or standard input; raise `ServerError` with the file and the place of the fault."""
    try:
        text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text("utf-8")
        return json.loads(text)
    except (OSError, ValueError) as exc:
        raise ServerError(f"{file}: {exc}") from None


def _cell(value: Any) -> str:  # noqa: ANN401 JSON
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
