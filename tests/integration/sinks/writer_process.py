"""A writers' process for tests that kill one: argv = JSON {bootstrap, folder, tenant, stream, instance}."""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path

from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import StreamView
from schemas.metrics import Metrics
from schemas.settings.processes import SinksSettings
from sinks import app
from tests.integration.sinks.world import MemoryStates, MemoryView, RealClock, World


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
        owner_session_timeout_s=6,
        **world.lake.model_dump(),
    )
    asyncio.run(
        app.run(
            settings,
            kafka=world.kafka,
            view=view,
            states=MemoryStates(),
            jobs=None,
            catalog=world.catalog(),
            clock=RealClock(),
            metrics=Metrics(),
            group=f"sinks-{told['tenant']}",
        )
    )


if __name__ == "__main__":
    main()
