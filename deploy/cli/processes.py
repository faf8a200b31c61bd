"""Commands that run something: up, demo, the processes, migrate, settings.

Lives here: arguments and exit codes. What a process is made of: deploy/processes, one file each.
"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.cli.client import DATA_DIR, DataDirOption, KeyOption, UrlOption, find
from schemas import settings


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("up", help="Run everything on this machine: Kafka, ingress, API, stage, writers, webhooks.")(_up)
    app.command("demo", help="Post a few hundred signed events and show what became of them.")(_demo)
    app.command("ingress", help="The fast door: data plane only, N workers on one socket.")(_ingress)
    app.command("api", help="Control plane, and the data plane for convenience.")(_api)
    app.command("streams", help="The Faust stage: raw topics to clean topics.")(_streams)
    app.command("sinks", help="The Iceberg writers: clean topics to tables.")(_sinks)
    app.command("notify", help="Outbound webhooks: tells others what changed.")(_notify)
    app.command("migrate", help="Make or upgrade the registry's database.")(_migrate)
    app.command("settings", help="List every setting of every process.")(_settings)


def _up(
    data_dir: Annotated[Path, typer.Option(help="Data folder")] = Path(DATA_DIR),
    port: Annotated[int, typer.Option(help="API and console")] = 8080,
    ingest_port: Annotated[int, typer.Option(help="Fast ingress")] = 8081,
) -> None:
    from deploy.local.up import UpOptions, up
    from deploy.processes.prepare import prepare

    options = UpOptions(data_dir=data_dir, port=port, ingest_port=ingest_port, prepare=prepare)
    raise typer.Exit(asyncio.run(up(options, Console(highlight=False))))


def _demo(
    count: Annotated[int, typer.Option(min=10, max=20_000, help="Events to make up")] = 300,
    seed: Annotated[int | None, typer.Option(help="Same seed, same events")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
) -> None:
    from deploy.demo.run import run

    raise typer.Exit(run(find(url, key, None, data_dir), Console(), count=count, seed=seed))


def _ingress() -> None:
    from deploy.processes import ingress

    raise typer.Exit(ingress.main(settings.load(settings.IngressSettings, settings.KNOWN)))


def _api() -> None:
    from deploy.processes import api

    raise typer.Exit(api.main(settings.load(settings.ApiSettings, settings.KNOWN)))


def _streams() -> None:
    from deploy.processes import streams

    raise typer.Exit(streams.main(settings.load(settings.StreamsSettings, settings.KNOWN)))


def _sinks() -> None:
    from deploy.processes import sinks

    raise typer.Exit(sinks.main(settings.load(settings.SinksSettings, settings.KNOWN)))


def _notify() -> None:
    from deploy.processes import notify

    raise typer.Exit(notify.main(settings.load(settings.NotifySettings, settings.KNOWN)))


def _migrate() -> None:
    from deploy.processes.prepare import migrate

    revision = migrate(settings.load(settings.MigrateSettings, settings.KNOWN))
    Console().print(f"registry is at revision {revision}")


def _settings() -> None:
    """One block a setting: names to copy are never cut, whatever the terminal's width."""
    out = Console(highlight=False)
    for name, default, processes, meaning in settings.reference():
        told = "" if default in {"None", "", "{}"} else f" = {default}"
        out.print(f"{name}{told}", markup=False, soft_wrap=True)
        out.print(f"    {meaning} ({processes})", markup=False, soft_wrap=True)
