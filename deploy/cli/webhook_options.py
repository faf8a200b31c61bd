"""The options that make and change an outbound webhook, and the definition that they say.

Lives here: options to JSON. Not here: the commands (webhook.py).
"""

import secrets
from base64 import b64encode
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.client import ServerError

EVENTS = ("entityCreated", "entityUpdated", "entitySoftDeleted", "entityDeleted")
_SHORT = {"created": EVENTS[0], "updated": EVENTS[1], "softDeleted": EVENTS[2], "deleted": EVENTS[3]}
EndpointOption = Annotated[str | None, typer.Option("--endpoint", help="Where it is sent, https://…")]
TypeOption = Annotated[
    str | None, typer.Option("--type", help="Generic (default), Slack, MSTeams, GoogleChat or Custom")
]
EventOption = Annotated[
    list[str] | None, typer.Option("--event", help="created, updated, softDeleted, deleted; several times; default all")
]
EntityOption = Annotated[
    list[str] | None, typer.Option("--entity", help="source, stream, alert, table, …; several times; default all")
]
IncludeOption = Annotated[
    list[str] | None, typer.Option("--include", help="Only these fields, or domain:X, tag:X, owner:X; several times")
]
ExcludeOption = Annotated[list[str] | None, typer.Option("--exclude", help="Not these; several times")]
HeaderOption = Annotated[list[str] | None, typer.Option("--header", help="'Name: value', sent along; several times")]
ToOption = Annotated[
    list[str] | None, typer.Option("--to", help="admins, owners or followers, by their contacts; several times")
]
SecretFileOption = Annotated[
    Path | None, typer.Option("--secret-file", help="File that holds the secret that signs; - reads standard input")
]
NewSecretOption = Annotated[bool, typer.Option("--new-secret", help="Make a secret; it is shown once")]
BatchOption = Annotated[int | None, typer.Option("--batch-size", min=1, max=100, help="Events in one message; 10")]
TimeoutOption = Annotated[int | None, typer.Option("--timeout", min=1, max=60, help="Seconds; 10")]
FallbackOption = Annotated[str | None, typer.Option("--fallback", help="Webhook that is told when this one gives up")]
DescriptionOption = Annotated[str | None, typer.Option("--description", help="What it is for")]
FileOption = Annotated[Path | None, typer.Option("-f", "--file", help="JSON file in place of options; - reads stdin")]


def filters(
    events: list[str] | None, entities: list[str] | None, include: list[str] | None, exclude: list[str] | None
) -> list[dict[str, Any]]:
    """Return eventFilters of options: one for each event type; raise `ServerError` for a type that is none."""
    wanted = [_SHORT.get(each, each) for each in events or EVENTS]
    if unknown := [each for each in wanted if each not in EVENTS]:
        raise ServerError(f"--event {unknown[0]}: use {', '.join(_SHORT)}")
    more = {"include": include} if include else {}
    more |= {"exclude": exclude} if exclude else {}
    return [{"eventType": each, "entities": entities or ["*"], **more} for each in dict.fromkeys(wanted)]


def options(
    endpoint: str | None,
    type_: str | None,
    headers: list[str] | None,
    to: list[str] | None,
    secret: str | None,
    batch_size: int | None,
    timeout: int | None,
    fallback: str | None,
    description: str | None,
) -> dict[str, Any]:
    """Return the members that options name, as a merge patch; raise `ServerError` for what cannot be read."""
    config: dict[str, Any] = {"endpoint": endpoint, "timeout": timeout, "secretKey": secret}
    if headers:
        pairs = [each.partition(":") for each in headers]
        if wrong := [name for name, mark, _ in pairs if not mark]:
            raise ServerError(f"--header {wrong[0]!r}: write it as 'Name: value'")
        config["headers"] = {name.strip(): value.strip() for name, _, value in pairs}
    if unknown := set(to or ()) - {"admins", "owners", "followers"}:
        raise ServerError(f"--to {min(unknown)}: use admins, owners, followers")
    config |= {f"sendTo{each.capitalize()}": True for each in to or ()}
    named: dict[str, Any] = {"webhookType": type_, "batchSize": batch_size, "description": description}
    if fallback is not None:
        named["fallback"] = {"type": "webhook", "name": fallback}
    found = {name: value for name, value in named.items() if value is not None}
    kept = {name: value for name, value in config.items() if value is not None}
    return found | ({"webhookConfig": kept} if kept else {})


def merged(wanted: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a definition with what the options name; members of webhookConfig one by one."""
    config = {**(wanted.get("webhookConfig") or {}), **changes.get("webhookConfig", {})}
    return {**wanted, **changes, "webhookConfig": config}


def secret_of(file: Path | None, *, new: bool) -> str | None:
    """Return the secret that a file or standard input holds, or a new one; None when neither is asked for."""
    if new:
        return "whsec_" + b64encode(secrets.token_bytes(32)).decode()
    if file is None:
        return None
    try:
        text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, ValueError) as exc:
        raise ServerError(f"{file}: {exc}") from None
    if not text.strip():
        raise ServerError(f"{file}: holds no secret")
    return text.strip()
