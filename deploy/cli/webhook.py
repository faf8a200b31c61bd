"""`hookberg webhook`: who is told of changes, where and in what form; make, change, look at, remove.

Lives here: the entity's commands. Their options: webhook_options.py, deliveries: webhook_log.py, people and teams:
contact.py, words: webhook_words.py.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from deploy.cli import contact, webhook_log, webhook_words
from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, TenantOption, UrlOption, find
from deploy.cli.objects import PAGE, JsonOption, read_json, show
from deploy.cli.webhook_options import (
    BatchOption,
    DescriptionOption,
    EndpointOption,
    EntityOption,
    EventOption,
    ExcludeOption,
    FallbackOption,
    FileOption,
    HeaderOption,
    IncludeOption,
    NewSecretOption,
    SecretFileOption,
    TimeoutOption,
    ToOption,
    TypeOption,
    filters,
    merged,
    options,
    secret_of,
)
from deploy.cli.webhook_target import NameArgument, identified, wide


def add_to(app: typer.Typer) -> None:
    """Add the group and its commands."""
    group = typer.Typer(name="webhook", help="Outbound webhooks: tell others what changed.", no_args_is_help=True)
    group.command("list", help="List them with how their deliveries go.")(_list)
    group.command("show", help="Show one, by name or id.")(_show)
    group.command("create", help="Make one, by options or from a JSON file.")(_create)
    group.command("update", help="Change what the options name; the rest stays.")(_update)
    group.command("patch", help="Change one by a JSON file: a merge patch, or an array of JSON Patch operations.")(
        _patch
    )
    group.command("enable", help="Send again, beginning anew.")(_enable)
    group.command("disable", help="Send nothing until it is enabled.")(_disable)
    group.command("delete", help="Delete one; restore brings it back unless --hard.")(_delete)
    group.command("restore", help="Bring a deleted one back, with its log.")(_restore)
    group.command("versions", help="What changed in it, when, by whom.")(_versions)
    webhook_log.add_to(group)
    contact.add_to(group)
    app.add_typer(group)


def _list(
    status: Annotated[str | None, typer.Option("--status", help="active, failed, awaitingRetry, …")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Deleted ones too")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    query = {"limit": PAGE} | ({"status": status} if status else {}) | ({"include": "all"} if deleted else {})
    page = find(url, key, tenant, data_dir).call("GET", "/webhooks", query=query)
    if as_json:
        show(page)
        return
    wide().print(webhook_words.webhooks(page["items"]))
    if page["nextCursor"]:
        Console().print(f"more: use the API with cursor={page['nextCursor']}", markup=False)


def _show(
    name: NameArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    show(server.call("GET", f"/webhooks/{identified(server, name)}", query={"include": "all"}))


def _create(
    name: Annotated[str | None, typer.Argument(help="Its name; a file brings its own")] = None,
    endpoint: EndpointOption = None,
    type_: TypeOption = None,
    event: EventOption = None,
    entity: EntityOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    header: HeaderOption = None,
    to: ToOption = None,
    secret_file: SecretFileOption = None,
    new_secret: NewSecretOption = False,
    batch_size: BatchOption = None,
    timeout: TimeoutOption = None,
    fallback: FallbackOption = None,
    description: DescriptionOption = None,
    file: FileOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    secret = secret_of(secret_file, new=new_secret)
    if file is not None:
        wanted = read_json(file)
        if not isinstance(wanted, dict):
            raise ServerError(f"{file}: a webhook is a JSON object")
        wanted |= {} if name is None else {"name": name}
    elif name is None:
        raise ServerError(
            "name the webhook, as `hookberg webhook create changes --endpoint https://…`, or give -f FILE"
        )
    else:
        wanted = {"name": name, "eventFilters": filters(event, entity, include, exclude)}
    changes = options(endpoint, type_, header, to, secret, batch_size, timeout, fallback, description)
    made = server.call("POST", "/webhooks", merged(wanted, changes))
    _told(made, secret if new_secret else None, "made", as_json=as_json)


def _update(
    name: NameArgument,
    endpoint: EndpointOption = None,
    type_: TypeOption = None,
    event: EventOption = None,
    entity: EntityOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    header: HeaderOption = None,
    to: ToOption = None,
    secret_file: SecretFileOption = None,
    new_secret: NewSecretOption = False,
    batch_size: BatchOption = None,
    timeout: TimeoutOption = None,
    fallback: FallbackOption = None,
    description: DescriptionOption = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    secret = secret_of(secret_file, new=new_secret)
    changes = options(endpoint, type_, header, to, secret, batch_size, timeout, fallback, description)
    if event or entity or include or exclude:
        changes["eventFilters"] = filters(event, entity, include, exclude)
    if not changes:
        raise ServerError("say what to change, for example --endpoint URL; `hookberg webhook update --help` lists it")
    changed = server.call("PATCH", f"/webhooks/{identified(server, name)}", changes)
    _told(changed, secret if new_secret else None, "changed", as_json=as_json)


def _patch(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(help="JSON file; - reads standard input")],
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server, change = find(url, key, tenant, data_dir), read_json(file)
    show(server.call("PATCH", f"/webhooks/{identified(server, name)}", change))


def _enable(
    name: NameArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    _turn(find(url, key, tenant, data_dir), name, on=True)


def _disable(
    name: NameArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    _turn(find(url, key, tenant, data_dir), name, on=False)


def _delete(
    name: NameArgument,
    hard: Annotated[bool, typer.Option("--hard", help="For ever, with versions, secrets and the log")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    server.call("DELETE", f"/webhooks/{identified(server, name)}", query={"hardDelete": "true"} if hard else None)
    back = "" if hard else f": `hookberg webhook restore {name}` brings it back"
    _say(f"deleted {name}{back}")


def _restore(
    name: NameArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    server.call("POST", f"/webhooks/{identified(server, name)}/restore")
    _say(f"restored {name}")


def _versions(
    name: NameArgument,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    found = server.call("GET", f"/webhooks/{identified(server, name)}/versions", query={"limit": PAGE})
    show(found) if as_json else wide().print(webhook_words.versions(found["versions"]))


def _turn(server: Server, name: str, *, on: bool) -> None:
    server.call("PATCH", f"/webhooks/{identified(server, name)}", {"enabled": on})
    _say(f"{name} is {'enabled' if on else 'disabled'}")


def _told(webhook: dict[str, Any], secret: str | None, done: str, *, as_json: bool) -> None:
    if as_json:
        show(webhook | ({"newSecret": secret} if secret else {}))
        return
    name = webhook["name"]
    _say(f"{name} is {done}, version {webhook['version']}, {webhook['status']}; try it: hookberg webhook test {name}")
    if secret:
        _say(f"its secret, shown once: {secret}")


def _say(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
