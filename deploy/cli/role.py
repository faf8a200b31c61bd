"""`hookberg role assign` and `role match`: which events make runs for a target.

Lives here: these two; list, get, create and delete are those of every object (objects.py).
"""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from deploy.cli.client import DataDirOption, KeyOption, TenantOption, UrlOption, find


def add_to(group: typer.Typer) -> None:
    """Add the commands to the group `role`."""
    group.command("assign", help="Let events of a role, or of a glob over roles, make runs for a target.")(assign)
    group.command("match", help="Show which assignments an event of a source would meet.")(match)


def assign(
    role: Annotated[str, typer.Argument(help="For example webhook.github.push, or 'webhook.github.*'")],
    target: Annotated[str, typer.Argument(help="Its runs are in the topic {tenant}.run.{target}")],
    name: Annotated[str | None, typer.Option(help="What the assignment is called; default: of role and target")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Assign a role to a target."""
    wanted = {"role": role, "target": target} | ({} if name is None else {"name": name})
    made = find(url, key, tenant, data_dir).call("POST", "/roles", wanted)
    Console().print(f"{made['name']}: {made['role']} -> {made['topic']}", markup=False, highlight=False, soft_wrap=True)


def match(
    source: str,
    event_type: Annotated[str, typer.Argument(help="As events say it, for example pull_request.opened")],
    label: Annotated[str | None, typer.Option(help="The label of a generic delivery, `?source=`")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as it came")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Show the role of an event and the assignments that take it."""
    query = {"eventType": event_type} | ({} if label is None else {"label": label})
    found = find(url, key, tenant, data_dir).call("GET", f"/sources/{source}/roles", query=query)
    console = Console()
    if as_json:
        console.print_json(data=found)
        return
    table = Table(*(Column(each, overflow="fold") for each in ("name", "role", "topic")))
    for each in found["assignments"]:
        table.add_row(each["name"], each["role"], each["topic"])
    if found["assignments"]:
        console.print(table)
    said = f"{found['role']}: {len(found['assignments'])} assignments"
    console.print(said, markup=False, highlight=False, soft_wrap=True)
