"""`hookberg delivery`: what became of one delivery, from POST to snapshot; without an id the newest ones.

Lives here: the command and the list. The picture of one delivery: delivery_tree.py.
"""

from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlsplit

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, TenantOption, UrlOption, find
from deploy.cli.delivery_tree import plain, tree
from deploy.cli.objects import JsonOption, show

WIDTH = 160
"""Of lines where there is no terminal."""
_PATH = "/api/v1/deliveries/"
_MARK = {"pending": "yellow", "decided": "green"}
LimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=10_000, help="How many items are shown, of the list how many deliveries")
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("delivery", help="What became of a delivery: accepted, decided, committed; without ID the newest.")(
        _delivery
    )


def _delivery(
    delivery: Annotated[
        str | None, typer.Argument(metavar="ID|RECEIPT", help="Its id, or the receipt that the door answered")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Of the list: a source's name or id")] = None,
    outcome: Annotated[str | None, typer.Option("--outcome", help="Of the list: duplicate, quarantined, …")] = None,
    event: Annotated[str | None, typer.Option("--event", help="Of the list: the vendor's id of an event")] = None,
    headers: Annotated[bool, typer.Option("--headers", help="Show the request's headers, as stored")] = False,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    if delivery is None:
        _list(server, console, {"source": source, "outcome": outcome, "vendorEventId": event}, limit, as_json=as_json)
        return
    name, query = address(delivery)
    found = server.call("GET", f"/deliveries/{quote(name, safe='')}", query={**query, "limit": str(limit)})
    if as_json:
        show(found)
    else:
        console.print(tree(found, headers=headers))


def address(text: str) -> tuple[str, dict[str, str]]:
    """Return id and query of what a person pasted: an id, a receipt, a receipt with a server before it."""
    parts = urlsplit(text.strip().strip("\"'"))
    at = parts.path.rfind(_PATH)
    name = parts.path[at + len(_PATH) :] if at >= 0 else parts.path
    query = {key: value for key, value in parse_qsl(parts.query) if key in {"at", "mac"}}
    if not name or "/" in name or len(name) > 128 or bool(query) != ({"at", "mac"} <= set(query)):  # noqa: PLR2004 as the API
        raise ServerError(f"{plain(text)[:80]!r} is neither a delivery's id nor a receipt (quote it: it holds an &)")
    return name, query


def _list(server: Server, console: Console, filters: dict[str, str | None], limit: int, *, as_json: bool) -> None:
    query = {name: value for name, value in filters.items() if value is not None}
    page = server.call("GET", "/deliveries", query={**query, "limit": str(min(limit, 200))})
    if as_json:
        show(page)
        return
    columns = ("received at", "delivery", "source", "outcomes", "position")
    table = Table(*(Column(name, overflow="fold") for name in columns))
    for line in page["items"]:
        table.add_row(*_cells(line))
    console.print(table)
    for why in page["why"]:
        console.print(Text(f"incomplete: {plain(why)}", style="yellow"))
    if page["nextCursor"]:
        console.print(Text("older ones: give --limit, --source or --outcome, or use the API's cursor", style="dim"))


def _cells(line: dict[str, Any]) -> list[Text]:
    at, state = line["position"], line["state"]
    said = ", ".join(line["outcomes"]) if line["outcomes"] else state or "not told"
    source = line["source"] or {}
    cells = (
        line["receivedAt"] or "",
        line["deliveryId"] or "not kept",
        source.get("name") or source.get("id") or "",
    )
    return [
        *(Text(plain(cell)) for cell in cells),
        Text(said, style=_MARK.get(state or "", "dim")),
        Text(f"{at['topicId']}/{at['partition']}/{at['offset']}", style="dim"),
    ]
