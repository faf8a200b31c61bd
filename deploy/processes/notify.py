"""`hookberg notify`: the outbound webhooks, and a health page."""

import os
import random
import secrets
import socket

from deploy.processes import vitals
from deploy.processes.foundation import foundation, run, stop_event
from schemas import readiness, settings
from schemas.backing.egress import HttpEgress
from schemas.backing.health import HealthServer
from schemas.backing.kafka.config import client_config
from sinks.notify.app import App, Parts
from sinks.notify.measures import Measures


def main(given: settings.NotifySettings) -> int:
    """Deliver webhooks until SIGTERM; return the exit code."""
    return run("notify", given, lambda: _deliver(given))


async def _deliver(given: settings.NotifySettings) -> int:
    stop = stop_event()
    async with foundation("notify", given) as base:
        vitals.name_objects(base.metrics, base.view)
        egress, measures = HttpEgress.for_webhooks(given, given), Measures(base.metrics)
        parts = Parts(
            registry=base.registry,
            egress=egress,
            kafka=client_config(given),
            clock=base.clock,
            measures=measures,
            chance=random.Random().random,  # noqa: S311 spreads retries, guards nothing
            owner=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
        )
        app = App(given, parts)
        measures.watch(app.standing)

        def checks() -> dict[str, str]:
            return {
                "process": "shutting down" if stop.is_set() else "",
                "registry": "" if base.view.current().revision >= 0 else "not read yet",
                **app.faults(),
            }

        base.metrics.read("hookberg_check_failed", readiness.failed(checks))
        keys = lambda: base.view.current().keys  # noqa: E731 what the page asks at each request
        health = HealthServer(given.notify_host, given.notify_health_port, checks, base.metrics, keys)
        await health.start()
        try:
            return await app.run(stop)
        finally:
            await egress.close()
            await health.stop()
