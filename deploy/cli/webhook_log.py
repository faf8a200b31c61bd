"""`hookberg webhook test`, `deliveries`, `delivery`, `resend`, `stats`: does it arrive, and what became of it.

Lives here: the commands over the log of one outbound webhook. Words: webhook_words.py.
"""

import re
import time
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.text import Text

from deploy.cli import webhook_words
from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, TenantOption, UrlOption, find
from deploy.cli.objects import JsonOption, show
from deploy.cli.webhook_target import NameArgument, identified, wide

WAIT_S = 10
"""What the server waits for a test's attempt at most; then it is looked for."""
PATIENCE_S = 30.0
LOOK_S = 0.5
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGE = re.compile(r"(\d{1,6})([smhd])")
SinceOption = Annotated[
    str | None, typer.Option("--since", help="Made then or later: 30m, 2h, 7d, or an RFC 3339 time")
]


def add_to(group: typer.Typer) -> None:
    """Add the commands to the group `webhook`."""
    group.command("test", help="Send a test event, wait for its answer, say what to do about it.")(_test)
    group.command("deliveries", help="List its deliveries, newest first.")(_deliveries)
    group.command("delivery", help="Show one delivery: its events, every attempt, request and answer.")(_delivery)
    group.command("resend", help="Send one delivery again, or all failed ones since a time.")(_resend)
    group.command("stats", help="Attempts, success rate, durations, what waits.")(_stats)


def _test(
    name: NameArgument,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    path, began = f"/webhooks/{identified(server, name)}", time.monotonic()
    found = server.call("POST", f"{path}/test", query={"wait": str(WAIT_S)})
    while found["attempt"] is None and time.monotonic() - began < PATIENCE_S:
        time.sleep(LOOK_S)
        found["attempt"] = _first_attempt(server, f"{path}/deliveries/{found['deliveryId']}")
    attempt = found["attempt"]
    if as_json:
        show(found)
    if attempt is None:
        raise ServerError(
            f"no attempt within {PATIENCE_S:.0f} s: is `hookberg notify` running, or does the receiver take longer? "
            f"`hookberg webhook delivery {name} {found['deliveryId']}` shows it when it was made"
        )
    if not as_json:
        Console().print(webhook_words.attempt_text(attempt, name), markup=False, highlight=False, soft_wrap=True)
    if attempt["reason"] is not None:
        raise typer.Exit(1)


def _first_attempt(server: Server, path: str) -> dict[str, Any] | None:
    """Return the first attempt of a delivery; None while there is none, or no delivery yet."""
    try:
        attempts = server.call("GET", path)["attemptList"]
    except ServerError:
        return None
    return attempts[0] if attempts else None


def _deliveries(
    name: NameArgument,
    failed: Annotated[bool, typer.Option("--failed", help="Those that failed at last, or were given up")] = False,
    state: Annotated[
        str | None, typer.Option("--state", help="pending, delivered, retryLimitReached, canceled")
    ] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="event, test, fallback")] = None,
    answer: Annotated[str | None, typer.Option("--answer", help="Last answer: 2xx, 3xx, 4xx, 5xx, none")] = None,
    event: Annotated[str | None, typer.Option("--event", help="Those that hold this event id")] = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="How many")] = 50,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    given = {"state": state, "kind": kind, "answer": answer, "eventId": event, "since": since and moment(since)}
    query = {part: value for part, value in given.items() if value} | ({"failed": "true"} if failed else {})
    path = f"/webhooks/{identified(server, name)}/deliveries"
    page = server.call("GET", path, query={**query, "limit": str(limit)})
    if as_json:
        show(page)
        return
    console = wide()
    if not page["items"]:
        console.print("no such deliveries", markup=False)
        return
    console.print(webhook_words.deliveries(page["items"]))
    if page["nextCursor"]:
        console.print(Text("older ones: give --limit, --since, --state, or use the API's cursor", style="dim"))


def _delivery(
    name: NameArgument,
    delivery: Annotated[str, typer.Argument(metavar="ID", help="Its id, which receivers see as webhook-id")],
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    path = f"/webhooks/{identified(server, name)}/deliveries/{quote(delivery, safe='')}"
    found = server.call("GET", path)
    show(found) if as_json else wide().print(webhook_words.delivery(found, name))


def _resend(
    name: NameArgument,
    delivery: Annotated[str | None, typer.Argument(metavar="ID", help="One delivery, a delivered one too")] = None,
    failed_since: Annotated[
        str | None, typer.Option("--failed-since", help="All that failed: 30m, 2h, 7d back, or an RFC 3339 time")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    if (delivery is None) == (failed_since is None):
        raise ServerError(f"name one: `hookberg webhook resend {name} ID`, or all that failed: `--failed-since 2h`")
    server = find(url, key, tenant, data_dir)
    path = f"/webhooks/{identified(server, name)}"
    if delivery is not None:
        found = server.call("POST", f"{path}/deliveries/{quote(delivery, safe='')}/resend")
    else:
        found = server.call("POST", f"{path}/resend", {"since": moment(failed_since or "")})
    if as_json:
        show(found)
        return
    left = found["matching"] - found["resending"]
    more = f"; {left} younger ones match too: ask again when these are sent" if left else ""
    Console().print(f"{found['resending']} will be sent again{more}", markup=False, highlight=False, soft_wrap=True)


def _stats(
    name: NameArgument,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    told = server.call("GET", f"/webhooks/{identified(server, name)}/statistics")
    if as_json:
        show(told)
        return
    head, table = webhook_words.statistics(told, name)
    console = wide()
    console.print(head)
    console.print(table)


def moment(text: str, now_s: float | None = None) -> str:
    """Return `2h` as the ms since the epoch so long ago; another text, which the server reads, as it is."""
    age = _AGE.fullmatch(text)
    if age is None:
        return text
    now = time.time() if now_s is None else now_s
    return str(int((now - int(age[1]) * _UNITS[age[2]]) * 1000))
