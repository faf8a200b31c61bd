"""The stage of one worker group: a table of contents. Start order: rule 8.

Lives here: what the app is made of, and its life from fence to drain. Not here: how groups become processes
(supervise.py), the real clock, registry and health server (deploy/processes).
"""

import asyncio
import contextlib
import gc
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.backing.kafka.statistics import told
from schemas.errors import EXIT_RESTART
from schemas.logs import logger
from schemas.metrics import Metrics
from schemas.ports import Clock, RegistryView
from schemas.settings import StreamsSettings
from schemas.tracing import OFF, Tracer
from schemas.vendors.base import Vendor
from streams.agents.careful import Careful
from streams.agents.ingest import Ingest
from streams.agents.pressure import EVERY_S, Judged, Pressure, Told
from streams.emit import Decided
from streams.engine.agent import Batches, Ledger
from streams.engine.app import App
from streams.engine.conductor import raw_topics, resolve
from streams.engine.directory import Directory, LiveTopic
from streams.engine.exits import die
from streams.engine.forget import Forgetting
from streams.engine.recovery import changelog, ensure_changelog, recover
from streams.engine.reseed import reseed
from streams.engine.runs import RunTopics
from streams.engine.sweep import Sweep
from streams.engine.table import FirstSeenTable, Writes
from streams.engine.transaction import Transactions
from streams.figures import Figures
from streams.signals import on_signals
from streams.trial import Trial

STOP_S = 4.0
RUN_TOPICS_S = 5.0
STORE_S = 10.0
FORGET_S = 0.25
_WAIT_S = 0.25
GC_THRESHOLD = (100_000, 50, 1000)
"""The largest single lever on throughput: README.md."""
_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Env:
    """What a group needs of the world; `kafka` is the client configuration of confluent-kafka.

    Without `pressure` nobody is told what waits. `forgetting`: what jobs ask the
    group to forget.
    """

    settings: StreamsSettings
    kafka: Mapping[str, Any] = field(repr=False)
    registry: RegistryView
    adapter: Callable[[str], Vendor]
    clock: Clock
    metrics: Metrics
    pressure: Told | None = None
    forgetting: Forgetting = field(default_factory=Forgetting)
    tracer: Tracer = OFF

    def now_us(self) -> int:
        """Return the wall clock in µs since the epoch."""
        return self.clock.time_ns() // 1000


class Health:
    """What `ready` answers: problems by name, none = ready. Read by the health server of the process."""

    def __init__(self) -> None:
        self._problems = {"stage": "starting: fencing and recovering"}

    def ready(self) -> dict[str, str]:
        """Return the problems now."""
        return dict(self._problems)

    def set(self, problem: str | None) -> None:
        """Replace the problem; None = ready."""
        self._problems = {} if problem is None else {"stage": problem}


def build(
    group: str,
    env: Env,
    live: Mapping[str, LiveTopic],
    directory: Directory,
    table: FirstSeenTable,
    careful: Careful,
) -> App:
    """Put a group's app together; `live` are the topics that it starts with, the registry says what follows."""
    settings = env.settings
    transactions = _transactions(group, env, table, lambda took_s, writes: committed(took_s, writes))  # noqa: PLW0108 made below
    figures, judged = Figures(env.metrics, group), Judged()
    ledger = Ledger(
        transactions,
        group=group,
        now_us=env.now_us,
        count=figures.count,
        note=judged.note,
        reasons=figures.reasons,
        registry=env.registry.current,
    )
    app = App(
        group,
        settings,
        directory=directory,
        live=live,
        topics_of=lambda: raw_topics(env.registry.current(), group),
        table=table,
        transactions=transactions,
        ledger=ledger,
        busy=lambda: careful.trying,
        tracer=env.tracer,
    )
    sweep = Sweep(table, transactions, lambda: env.registry.current().sources)
    runs = RunTopics(directory.runs, transactions.know, env.clock.monotonic)
    judge = Ingest(table, env.registry, env.adapter, env.now_us, careful=careful, runs=runs)

    @app.batch_agent("ingest", runs=runs.most)
    async def ingest(batches: Batches) -> AsyncIterator[list[Decided]]:
        async for decided in judge.agent(batches):
            yield decided

    _look_after(app, sweep, lambda: runs.look(env.registry.current()), figures)

    @app.timer(FORGET_S)  # type: ignore[untyped-decorator]
    async def forget() -> None:
        await env.forgetting.step(table, transactions, app.reads)

    if env.pressure is not None:
        measuring = Pressure(app, env.pressure, judged, env.registry.current, env.clock)

        @app.timer(EVERY_S)  # type: ignore[untyped-decorator]
        async def pressure() -> None:
            await measuring.step()

    def committed(took_s: float, writes: Writes) -> None:
        figures.committed(took_s)
        app.committed(writes)

    return app


def _look_after(app: App, sweep: Sweep, look: Callable[[], Awaitable[None]], figures: Figures) -> None:
    """Add the timers of what happens beside deciding; `look` is after the run topics."""

    @app.timer(1.0)  # type: ignore[untyped-decorator]
    async def expire() -> None:
        sweep.step()

    @app.timer(1.0)  # type: ignore[untyped-decorator]
    async def progress() -> None:
        figures.reading(app.batch_consumer.lag(), app.rebalancing_count)

    @app.timer(STORE_S)  # type: ignore[untyped-decorator]
    async def look_at_store() -> None:
        figures.store(app.table.figures())

    @app.timer(RUN_TOPICS_S)  # type: ignore[untyped-decorator]
    async def look_at_run_topics() -> None:
        await look()


async def run_group(group: str, env: Env, health: Health, stop: asyncio.Event | None = None) -> int:
    """Run one worker group until SIGTERM, SIGINT or `stop`; return the process' exit code.

    0 after a drain; errors of transactions end the process at once with 75 (rule 10).
    """
    gc.set_threshold(*GC_THRESHOLD)
    stop = stop or asyncio.Event()
    on_signals(stop)
    directory = Directory(env.kafka)
    folder = env.settings.state_dir / group
    table = FirstSeenTable("seen", folder)
    live = await _first_topics(group, env, directory, table, health, stop)
    if stop.is_set():
        return 0
    health.set("starting: fencing and recovering")
    careful = Careful(folder, Trial(env.adapter, cpu_s=math.ceil(env.settings.stage_stall_s / 2)))
    app = build(group, env, live, directory, table, careful)
    try:
        await asyncio.to_thread(_recover, group, env, directory, table, app.transactions)
        careful.begin(table.stands)
    except Exception as exc:  # noqa: BLE001 Kafka is away or the disk is: start again
        app.end("the state could not be recovered", exc)
    try:
        return await _serve(group, app, health, stop)
    finally:
        careful.close()


async def _first_topics(
    group: str, env: Env, directory: Directory, table: FirstSeenTable, health: Health, stop: asyncio.Event
) -> dict[str, LiveTopic]:
    """Wait until the group has a topic: Kafka has no subscription to nothing. What is to be forgotten is meanwhile."""
    live: dict[str, LiveTopic] = {}
    while not live and not stop.is_set():
        topics = raw_topics(env.registry.current(), group)
        live = await resolve(directory, topics) if topics else {}
        if not live:
            health.set("topics of the registry are not there yet" if topics else None)
            if not topics and env.forgetting.asked:
                await _forget_idle(group, env, directory, table)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _WAIT_S)
    return live


async def _forget_idle(group: str, env: Env, directory: Directory, table: FirstSeenTable) -> None:
    """Forget what is asked for while no topic is read: fence and recover as ever, then put the state away again."""
    transactions = _transactions(group, env, table, lambda _took_s, _writes: None)
    try:
        await asyncio.to_thread(_recover, group, env, directory, table, transactions)
        await env.forgetting.step(table, transactions, lambda _topic_ids: False)
    except Exception as exc:  # noqa: BLE001 Kafka is away or the disk is: start again
        die("nothing could be forgotten", exc)
    table.close()


def _transactions(
    group: str, env: Env, table: FirstSeenTable, on_commit: Callable[[float, Writes], None]
) -> Transactions:
    settings = env.settings
    return Transactions(
        {**env.kafka, **told(env.metrics, "stage")},
        group,
        changelog(group),
        table,
        interval_s=settings.commit_interval_s,
        max_records=settings.transaction_max_records,
        timeout_s=settings.transaction_timeout_s,
        on_commit=on_commit,
        headed=env.tracer.enabled,
    )


def _recover(group: str, env: Env, directory: Directory, table: FirstSeenTable, transactions: Transactions) -> None:
    settings = env.settings
    ensure_changelog(
        directory.admin, group, replication=settings.replication_factor, min_insync=settings.min_insync_replicas
    )
    marks: Mapping[int, int] = transactions.fence()
    topic_id = directory.ids([changelog(group)])[changelog(group)][0]
    marks = reseed(table, transactions, group, topic_id, marks)
    read = recover(env.kafka, table, group, topic_id, marks)
    transactions.start()
    _log.info("recovered", group=group, records=read, partitions=len(table.stands))


async def _serve(group: str, app: App, health: Health, stop: asyncio.Event) -> int:
    rhythm = asyncio.create_task(app.transactions.run(), name="transactions")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    crashed = asyncio.create_task(app._crashed.wait(), name="crash")  # noqa: SLF001 engine/README.md
    app.loop = asyncio.get_running_loop()
    starting = asyncio.create_task(app.start(), name="start")
    await asyncio.wait({starting, rhythm, stopping, crashed}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and starting.exception() is None and not crashed.done():
        health.set(None)
        _log.info("stage_ready", group=group, topics=len(app.live))
        await asyncio.wait({rhythm, stopping, crashed}, return_when=asyncio.FIRST_COMPLETED)
    health.set("stopping")
    if not stop.is_set():
        failed = next((task.exception() for task in (rhythm, starting) if task.done()), None)
        app.end("the app ended by itself", failed or app.crash_reason)
        return EXIT_RESTART
    await app.batch_consumer.commit_all()
    for task in (rhythm, crashed, starting):
        task.cancel()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(app.stop(), STOP_S)
    app.table.close()
    _log.info("stage_drained", group=group)
    return 0
