"""`hookberg webhook contacts`: people and teams that webhooks with --to are sent to.

Lives here: list, add, delete over `/contacts`.
"""

from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console

from deploy.cli import webhook_words
from deploy.cli.client import DataDirOption, KeyOption, TenantOption, UrlOption, find
from deploy.cli.objects import PAGE, JsonOption, show
from deploy.cli.webhook_target import wide


def add_to(group: typer.Typer) -> None:
    """Add the commands to the group `webhook`."""
    contacts = typer.Typer(name="contacts", help="Who admins, owners and followers are.", no_args_is_help=True)
    contacts.command("list", help="List them.")(_list)
    contacts.command("add", help="Add one, or replace the one of this name.")(_add)
    contacts.command("delete", help="Delete one.")(_delete)
    group.add_typer(contacts)


def _list(
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    page = find(url, key, tenant, data_dir).call("GET", "/contacts", query={"limit": PAGE})
    show(page) if as_json else wide().print(webhook_words.contacts(page["items"]))


def _add(
    name: str,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Where it is told; none: a log line alone")] = None,
    team: Annotated[bool, typer.Option("--team", help="A team, not a user")] = False,
    admin: Annotated[bool, typer.Option("--admin", help="Told by webhooks that are sent to admins")] = False,
    follows: Annotated[
        list[str] | None, typer.Option("--follows", help="Entity, as 'table:acme.orders*'; several times")
    ] = None,
    of: Annotated[list[str] | None, typer.Option("--of", help="Team that a user belongs to; several times")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    wanted = {"name": name, "type": "team" if team else "user", "admin": admin, "endpoint": endpoint,
              "follows": follows or [], "teams": of or []}  # fmt: skip
    find(url, key, tenant, data_dir).call("PUT", f"/contacts/{quote(name, safe='')}", wanted)
    Console().print(f"{name} is {'told' if endpoint else 'known; give --endpoint to tell it'}", markup=False)


def _delete(
    name: str,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    find(url, key, tenant, data_dir).call("DELETE", f"/contacts/{quote(name, safe='')}")
    Console().print(f"deleted {name}", markup=False)
