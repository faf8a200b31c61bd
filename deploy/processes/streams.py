"""`hookberg streams`: the Faust stage, one process a worker group, and a health page each."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from deploy.processes import vitals
from deploy.processes.foundation import Foundation, foundation, logging_of, run
from schemas import readiness, settings
from schemas.backing.health import HealthServer
from schemas.backing.kafka import Topics, client_config
from schemas.backing.kafka.pressure import PressureLog, PressureTopic
from schemas.backing.kafka.pressure_figures import Watched
from schemas.definitions.job import DRY_RUN, REDRIVE, Job
from schemas.vendors import adapter
from streams import supervise
from streams.agents.evaluator import Sight
from streams.app import Env, Health, run_group
from streams.jobs import forget
from streams.jobs.apart import Apart
from streams.jobs.dry_run import of as dry_run_of
from streams.jobs.log import Log
from streams.jobs.redrive import Redriver
from streams.jobs.runner import Beat, JobRunner, Work
from streams.stats_app import StatsEnv, run_stats


def main(given: settings.StreamsSettings) -> int:
    """Run the host's worker groups until SIGTERM; return the exit code."""
    logging_of("streams", given)
    return supervise.run(given, group_main, stats_main)


def group_main(given: settings.StreamsSettings, group: str) -> int:
    """Run one group in this process; named, so that a process of its own can import it."""
    return run("streams", given, lambda: _stage(given, group))


def stats_main(given: settings.StreamsSettings, _name: str) -> int:
    """Count minutes in this process; named, so that a process of its own can import it."""
    return run("stats", given, lambda: _stats(given))


async def _stats(given: settings.StreamsSettings) -> int:
    async with foundation("stats", given) as base:
        registry, kafka = base.registry, client_config(given)
        pressures = PressureLog(kafka)
        sight = Sight(registry.alerts, registry.states, registry.tallies, pressures.newest)
        env = StatsEnv(given, kafka, base.view, base.clock, registry.alerts, registry.minutes, sight)
        health = None if given.stats_health_port is None else _health(given.stats_health_port, given, base, dict)
        pressures.start()
        if health is not None:
            await health.start()
        try:
            return await run_stats(env)
        finally:
            await asyncio.to_thread(pressures.stop)
            if health is not None:
                await health.stop()


async def _stage(given: settings.StreamsSettings, group: str) -> int:
    async with foundation("streams", given) as base:
        metrics, state = base.metrics, Health()
        vitals.name_objects(metrics, base.view)
        health = _health(given.streams_health_port, given, base, state.ready)
        await health.start()
        kafka = client_config(given)
        topic = PressureTopic(kafka, Topics(given).ensure_cluster_topics, base.clock.monotonic)
        pressure = Watched(topic, base.metrics, lambda: base.clock.time_ns() // 1_000_000)
        env = Env(given, kafka, base.view, adapter, base.clock, metrics, pressure, tracer=base.tracer)
        owner = f"{socket.gethostname()}-{os.getpid()}-{group}"
        jobs = JobRunner(base.registry.jobs, _kinds(given, base), owner)
        own = JobRunner(base.registry.jobs, {forget.kind(group): forget.of(env.forgetting)}, owner)
        jobs.start()
        own.start()  # beside the others: a tenant's end must not wait for a long redrive
        try:
            return await run_group(group, env, state)
        finally:
            await asyncio.gather(asyncio.to_thread(jobs.stop), asyncio.to_thread(own.stop))
            await asyncio.to_thread(pressure.close)
            await health.stop()


def _health(
    port: int, given: settings.StreamsSettings, base: Foundation, state: Callable[[], Mapping[str, str]]
) -> HealthServer:
    """Return the health page of one process of the host; `state` tells what is wrong with what it does."""

    def checks() -> dict[str, str]:
        unread = base.view.current().revision < 0
        return {"registry": "not read yet" if unread else "", "stage": "", **state()}

    vitals.watch_disks(base.metrics, {"state": str(given.state_dir)})
    base.metrics.read("hookberg_check_failed", readiness.failed(checks))
    return HealthServer(given.streams_host, port, checks, base.metrics, lambda: base.view.current().keys)


def _kinds(given: settings.StreamsSettings, base: Foundation) -> Mapping[str, Work]:
    """Return the jobs that a stage process does, by kind."""
    dry_run = Apart(base.view, dry_run_of, client_config(given), adapter, base.clock)
    return {REDRIVE: _redrive(given, base), DRY_RUN: dry_run}


def _redrive(given: settings.StreamsSettings, base: Foundation) -> Work:
    """Return the work of a redrive; what reads tables is loaded with the first one, for it takes 100 MB."""

    def work(job: Job, beat: Beat) -> Mapping[str, Any]:
        from schemas.backing.lake import open_catalog
        from sinks.read.redrivable import Redrivable

        table = Redrivable(lambda: open_catalog(given))
        kafka, monotonic = client_config(given), base.clock.monotonic
        return Redriver(base.view, table, lambda names: Log(kafka, names, monotonic))(job, beat)

    return work
