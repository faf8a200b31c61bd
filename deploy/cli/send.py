"""`hookberg send` signs a payload as a vendor would and posts it; `hookberg tail` follows a stream's newest rows.

Lives here: the two commands. How a vendor signs: schemas/signing and schemas/vendors.
"""

import time
import uuid
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import requests
import typer
from rich.console import Console

from deploy.cli.client import TIMEOUT_S, DataDirOption, KeyOption, ServerError, TenantOption, UrlOption, find
from deploy.demo.post import signed_headers

POLL_S = 1.0


def add_to(app: typer.Typer) -> None:
    """Add the two commands."""
    app.command("send", help="Sign a JSON file as a vendor would and post it.")(_send)
    app.command("tail", help="Follow the newest rows of a stream; ctrl-C ends.")(_tail)


def _send(
    platform: Annotated[str, typer.Argument(help="A vendor (see `hookberg platforms`) or a generic name")],
    file: Annotated[Path, typer.Argument(help="The body, byte for byte")],
    secret: Annotated[str | None, typer.Option(help="The source's secret; without it the API key is sent")] = None,
    event: Annotated[str, typer.Option(help="Event type, where the vendor has it in a header")] = "push",
    source: Annotated[str | None, typer.Option(help="The source's name, where the platform has several")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    try:
        body = file.read_bytes()
    except OSError as exc:
        raise ServerError(str(exc)) from None
    headers = {"Content-Type": "application/json"}
    if server.tenant:
        headers["X-Tenant-Id"] = server.tenant
    place = f"{server.ingest}/api/v1/webhooks/{platform}" + (f"?{urlencode({'source': source})}" if source else "")
    if secret is None:
        headers["Authorization"] = f"Bearer {server.key}"
    else:
        now_s, delivery = int(time.time()), str(uuid.uuid4())
        try:
            headers |= signed_headers(platform, secret, body, event=event, delivery=delivery, now_s=now_s, url=place)
        except ValueError as exc:
            raise ServerError(str(exc)) from None
    try:
        answer = requests.post(place, data=body, headers=headers, timeout=TIMEOUT_S)
    except requests.RequestException as exc:
        raise ServerError(
            f"{server.ingest} does not answer ({type(exc).__name__}): is `hookberg up` running?"
        ) from None
    Console().print(f"{answer.status_code} {answer.text}", markup=False, soft_wrap=True)
    if not answer.ok:
        raise typer.Exit(1)


def _tail(
    stream: Annotated[str, typer.Argument(help="Name of the stream")],
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server, seen = find(url, key, tenant, data_dir), set[str]()
    while True:
        try:
            rows = server.call("GET", f"/streams/{stream}/rows", query={"limit": "50"})["items"]
        except ServerError as exc:
            if not str(exc).startswith("not_found"):
                raise
            rows = []
        for row in reversed(rows):
            if row["event_id"] not in seen:
                seen.add(row["event_id"])
                Console().print(f"{row['received_at']} {row['event_type']} {row['event_id']}", markup=False)
        time.sleep(POLL_S)
