"""`hookberg source drift NAME`: where a source's events no longer meet their schemas.

Lives here: one call of `/sources/{id}/drift` and its table.
"""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from deploy.cli.client import DataDirOption, KeyOption, TenantOption, UrlOption, find


def drift(
    name: str,
    days: Annotated[int, typer.Option(help="How many days back, by receive time")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as it came")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Show where a source's events fail their schemas, since when and how often."""
    query = {"days": str(days)}
    report = find(url, key, tenant, data_dir).call("GET", f"/sources/{name}/drift", query=query)
    if as_json:
        Console().print_json(data=report)
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    names = ("count", "open", "event type", "schema", "pointer", "why", "first", "last", "delivery")
    table = Table(*(Column(each, overflow="fold") for each in names))
    for place in report["places"]:
        table.add_row(
            str(place["count"]),
            str(place["open"]),
            place["eventType"] or "",
            place["schema"] or "",
            place["pointer"] or "(all of it)",
            place["message"],
            place["firstAt"],
            place["lastAt"],
            place["sample"]["deliveryId"],
        )
    console = Console()
    console.print(table)
    more = f", {report['morePlaces']} more places" if report["morePlaces"] else ""
    cut = "" if report["complete"] else "; more failed than were looked at: ask for fewer days"
    said = f"{report['events']} events failed since {report['since']}, {report['open']} open{more}{cut}"
    console.print(f"{report['source']}: {said}", markup=False, highlight=False)
