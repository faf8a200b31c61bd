"""A writers' process for tests that kill one: argv = JSON {bootstrap, folder, tenant, stream, instance}.

It freezes itself (SIGSTOP) in its first commit once the file `freeze` names is there: files written, the catalog about
to be asked.
"""

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyiceberg.catalog import Catalog

from deploy.processes import ending
from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import StreamView
from schemas.metrics import Metrics
from schemas.settings.processes import SinksSettings
from sinks import app
from tests.integration.sinks.world import MemoryStates, MemoryView, RealClock, World


class Freezing:
    """A catalog that stops its own process before a commit, once."""

    def __init__(self, catalog: Catalog, told: Path) -> None:
        self._catalog, self._told = catalog, told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def commit_table(self, *args: Any) -> Any:
        if self._told.exists():
            self._told.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)
        return self._catalog.commit_table(*args)


def main() -> None:
    """Run until killed."""
    told = json.loads(sys.argv[1])
    world = World(told["bootstrap"], Path(told["folder"]))
    view = MemoryView()
    stream = StreamView(
        id=told["streamId"],
        tenant=told["tenant"],
        name="orders",
        version=1,
        definition=StreamDefinition.model_validate(told["definition"]),
        desired="running",
        generation=1,
        accept_loss=False,
        frozen=False,
    )
    view.snapshot = replace(view.snapshot, tenants=frozenset({told["tenant"]}), streams={stream.id: stream})
    settings = SinksSettings(
        kafka_bootstrap_servers=told["bootstrap"],
        registry_url="sqlite://",
        sinks_health_port=told["instance"],
        owner_session_timeout_s=3,  # what a test waits for after each freeze
        **world.lake.model_dump(),
    )
    catalog: Any = Freezing(world.catalog(), world.folder / told["freeze"]) if "freeze" in told else world.catalog()
    asyncio.run(
        app.run(
            settings,
            kafka=world.kafka,
            view=view,
            states=MemoryStates(),
            jobs=None,
            catalog=catalog,
            clock=RealClock(),
            metrics=Metrics(),
            group=f"sinks-{told['tenant']}",
        )
    )


if __name__ == "__main__":
    ending.quick()
    main()
