"""One writers' process, wired: ownership, tails, states, jobs.

Lives here: the wiring and the quarter-second round that keeps tails what the registry says. Not here: settings from
the environment, the real clock, health (deploy/processes/sinks.py).
"""

import asyncio
import os
import random
import socket
import threading
from collections.abc import Mapping
from typing import Any

from confluent_kafka.admin import AdminClient
from pyiceberg.catalog import Catalog

from schemas.backing.kafka.statistics import told
from schemas.definitions.stream import State
from schemas.metrics import Metrics
from schemas.ports import Clock, JobQueue, RegistryView
from schemas.settings.processes import SinksSettings
from schemas.tracing import OFF, Tracer
from sinks.advances import KafkaAdvances
from sinks.fleet import Fleet
from sinks.jobs.drop_table import run_one
from sinks.ownership import GROUP, Ownership
from sinks.pressure import Round, TablePressure, Told, ends_by
from sinks.slots import Slots
from sinks.spec import Env
from sinks.status import Lags, States, Teller
from sinks.upkeep.keeper import Keeper
from sinks.upsert.room import Room

ROUND_S = 0.25
TAILS_TELL_S = 120
"""How often each tail's Kafka client tells its statistics: a process may have hundreds."""
LOOK_S = 1.0
BUILDS, BUILD_PATIENCE_S, MOST_BUILDS = 4, 10.0, 32
QUEUE_BUDGET_KIB = 256 << 10
FLUSH_BUDGET = 512 << 20
"""Bytes of records that the tables of a process hold together until they commit."""
_MIN_FLUSH = 4 << 20
_MIN_QUEUE_KIB, _MAX_QUEUE_KIB = 1 << 10, 32 << 10


async def run(
    settings: SinksSettings,
    *,
    kafka: Mapping[str, Any] | None = None,
    view: RegistryView,
    states: States,
    jobs: JobQueue | None,
    catalog: Catalog,
    clock: Clock,
    metrics: Metrics,
    group: str = GROUP,
    tracer: Tracer = OFF,
    pressure: Told | None = None,
) -> None:
    """Run until cancelled; raises what ends the process (another process under the same instance id, a bug).

    `kafka` is the client configuration; by default that of the settings. When cancelled it returns in about 5 s: tails
    finish the commit in flight, buffers are dropped, the log still has them. Without `pressure` nobody is told what
    waits for the tables.
    """
    if kafka is None:
        from schemas.backing.kafka import client_config

        kafka = client_config(settings)
    owner = f"{socket.gethostname()}-{os.getpid()}"
    config, tailing = dict(kafka), {**kafka, **told(metrics, "tails", TAILS_TELL_S)}
    admin = AdminClient(config)
    advances = KafkaAdvances({**config, **told(metrics, "advances")}, clock, metrics)
    keeper = Keeper(catalog, clock, random.random, settings.expired_files_grace_s)
    room = Room(settings.upsert_index_bytes)
    slots = Slots(BUILDS, patience_s=BUILD_PATIENCE_S, most=MOST_BUILDS, monotonic=clock.monotonic)

    def env(tails: int) -> Env:
        queue = max(_MIN_QUEUE_KIB, min(_MAX_QUEUE_KIB, QUEUE_BUDGET_KIB // max(1, tails)))
        flush = min(settings.flush_bytes, max(_MIN_FLUSH, FLUSH_BUDGET // max(1, tails)))
        return Env(
            catalog, admin, tailing, clock, metrics, owner, flush, queue, slots,
            advances=advances, upkeep=keeper, tracer=tracer, room=room,
        )  # fmt: skip

    fleet = Fleet(env)
    ownership = Ownership(
        {**config, **told(metrics, "ownership")},
        session_timeout_s=settings.owner_session_timeout_s,
        instance=f"{socket.gethostname()}-{settings.sinks_health_port}" if settings.sinks_health_port else None,
        group=group,
        gone=lambda gone: fleet.release(gone, ownership.count),
    )
    ownership.start()
    keeper.start()
    waits = None if pressure is None else TablePressure(pressure, states.many, ends_by(admin), clock)
    if waits is not None:
        waits.start()
    try:
        await _rounds(fleet, ownership, view, states, jobs, catalog, clock, metrics, owner, waits)
    finally:
        if waits is not None:
            await asyncio.shield(asyncio.to_thread(waits.end))
        await asyncio.shield(asyncio.to_thread(ownership.stop))
        await asyncio.shield(asyncio.to_thread(advances.end))
        await asyncio.shield(asyncio.to_thread(keeper.end))


async def _rounds(
    fleet: Fleet,
    ownership: Ownership,
    view: RegistryView,
    states: States,
    jobs: JobQueue | None,
    catalog: Catalog,
    clock: Clock,
    metrics: Metrics,
    owner: str,
    waits: TablePressure | None,
) -> None:
    teller, lags = Teller(states), Lags(metrics)
    look_at = 0.0
    dropping = threading.Thread()
    while True:
        if ownership.failed is not None:
            raise ownership.failed
        snapshot, owned, count = view.current(), ownership.owned(), ownership.count
        if count and snapshot.revision >= 0:
            await asyncio.to_thread(fleet.reconcile, snapshot, owned, count)
            briefs = fleet.briefs(snapshot, owned, count)
            full = clock.monotonic() >= look_at
            look_at = clock.monotonic() + LOOK_S if full else look_at
            if full or teller.differs(briefs):
                found = await asyncio.to_thread(fleet.states, snapshot, owned, count, clock.time_ns() // 1_000_000)
                await asyncio.to_thread(teller.tell, found, clock.monotonic())
                lags.told = found
                for state in State:
                    metrics.gauge("hookberg_streams").labels(state).set(sum(one.state is state for one in found))
                if waits is not None and full:
                    waits.note(Round(snapshot, owned, count, found))
            if jobs is not None and full and owned and not dropping.is_alive():
                dropping = threading.Thread(target=run_one, args=(jobs, catalog, owner), name="jobs", daemon=True)
                dropping.start()  # not awaited: a large table takes minutes, and tails must not wait for it
        await asyncio.sleep(ROUND_S)
