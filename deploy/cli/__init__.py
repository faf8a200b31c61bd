"""The `hookberg` command: its table of contents; each group of commands is one file beside this one.

Lives here: which commands there are and how an error becomes an exit code. See deploy/README.md.
"""

import sys

import typer
from rich.console import Console

from deploy.cli import (
    audit,
    delivery,
    doctor,
    objects,
    processes,
    quarantine,
    query,
    send,
    tables,
    tenant,
    top,
    webhook,
)
from deploy.cli.client import ServerError
from deploy.processes import ending
from schemas.errors import EXIT_CONFIGURATION, ConfigurationError, Refused

app = typer.Typer(
    name="hookberg",
    help="Webhooks into Apache Iceberg tables: exactly once, typed, within seconds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
processes.add_to(app)
objects.add_to(app)
quarantine.add_to(app)
query.add_to(app)
tables.add_to(app)
send.add_to(app)
audit.add_to(app)
doctor.add_to(app)
delivery.add_to(app)
tenant.add_to(app)
top.add_to(app)
webhook.add_to(app)


def main() -> None:
    """Run the command; a caller's fault is one clear line and exit code 78, 2 or 1, never a traceback."""
    ending.quick()
    try:
        app()
    except ConfigurationError as exc:
        Console(stderr=True).print(f"hookberg: {exc}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(EXIT_CONFIGURATION)
    except Refused as exc:
        Console(stderr=True).print(
            f"hookberg: {exc.reason}: {exc.detail}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(2)
    except ServerError as exc:
        Console(stderr=True).print(f"hookberg: {exc}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
