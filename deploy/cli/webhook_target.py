"""Which webhook a command means, and the console of its tables."""

from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console

from deploy.cli.client import Server
from schemas import names

WIDTH = 180
"""Of lines where there is no terminal."""
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name or id of a webhook")]


def identified(server: Server, name: str) -> str:
    """Return the id of a webhook, deleted ones too, by its name or id; raise `ServerError` when there is none."""
    if names.is_uuid(name):
        return name
    found = server.call("GET", f"/webhooks/name/{quote(name, safe='')}", query={"include": "all"})
    return str(found["id"])


def wide() -> Console:
    """Return a console whose tables are not folded to 80 columns where there is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)
