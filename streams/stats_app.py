"""What became of events by minute, and who is silent: a table of contents. A stock Faust app over the tenants' ledgers.

Lives here: what the app is made of, and its life. Not here: how it becomes a process (supervise.py), the real clock and
registry (deploy/processes).
"""

import asyncio
import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaException

from schemas.errors import EXIT_RESTART
from schemas.logs import logger
from schemas.ports import AlertBook, Clock, MinuteBook, RegistryView
from schemas.settings import StreamsSettings
from streams.agents.evaluator import EVERY_S, Evaluator, Sight
from streams.agents.flooding import Flooding
from streams.agents.silence import Silence
from streams.agents.stats import Heard, Heards, Stats
from streams.engine.directory import Directory
from streams.engine.journal import Journal, ensure_journal
from streams.engine.ledgers import LedgerApp, ledgers
from streams.engine.recovery import changelog
from streams.floods import Floods
from streams.signals import on_signals
from streams.windows import Bounds, Windows

BATCH, WITHIN_S = 500, 1.0
LOOK_S = 2.0
SILENCE_S, FLOODING_S = 5.0, 1.0
_STOP_S = 4.0
_WAIT_S = 0.5
_DAY_MINUTES = 1440
_ROCKSDB = {"driver": "rocksdict", "block_cache_size": 4 << 20, "write_buffer_size": 4 << 20, "max_open_files": 64}
_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class StatsEnv:
    """What the app needs of the world; `kafka` is the client configuration of confluent-kafka.

    Without `sight` nobody is told of anything but silence. `name` is that of its group, state folder and changelog: one
    process in a cluster; worker groups are numbers.
    """

    settings: StreamsSettings
    kafka: Mapping[str, Any] = field(repr=False)
    registry: RegistryView
    clock: Clock
    alerts: AlertBook
    minutes: MinuteBook
    sight: Sight | None = None
    name: str = "stats"


def build(env: StatsEnv, directory: Directory) -> LedgerApp:
    """Put the app together; it subscribes to the ledgers of now and follows the registry."""
    settings = env.settings
    app = LedgerApp(settings, env.name, topics_of=lambda: ledgers(env.registry.current()), directory=directory)
    kept = app.raw_topic(changelog(env.name))
    minutes = app.Table(
        "minutes", key_type=bytes, value_type=bytes, partitions=1, changelog_topic=kept, options=dict(_ROCKSDB)
    )
    silence = Silence(env.alerts, env.minutes, env.registry.current, env.clock)
    retention = settings.stats_retention_days * _DAY_MINUTES
    stats = Stats(
        Windows(Bounds(int(settings.stats_lateness_s * 1_000_000), retention, settings.stats_event_types)),
        Journal(app, minutes, app.end),
        env.minutes,
        Heards(silence, *_alerting(app, env, directory)),
        live=lambda: app.live,
        taken=lambda: app.ledger_consumer.taken_to(),  # noqa: PLW0108 made when the app starts
        clock=env.clock,
        links=app.links,
        late_us=int(settings.transaction_timeout_s * 1_000_000),
        retention_minutes=retention,
    )
    app.load, app.next_offset = stats.load, stats.next_offset

    @app.agent(app.ledgers(), name="count")
    async def count(records: Any) -> None:  # noqa: ANN401 a Faust stream
        try:
            async for events in records.take_events(BATCH, within=WITHIN_S):
                await stats.count(events)
        except Exception as exc:  # noqa: BLE001 Faust would go on with the next batch
            app.end("counting failed", exc)
        if not app.should_stop:  # Faust keeps to itself what ends a stream
            app.end("the stream of ledgers ended", None)

    @app.timer(settings.stats_flush_s)  # type: ignore[untyped-decorator]
    async def tell() -> None:
        await stats.tell()

    @app.timer(LOOK_S)  # type: ignore[untyped-decorator]
    async def look() -> None:
        await stats.look()

    @app.timer(SILENCE_S)  # type: ignore[untyped-decorator]
    async def listen() -> None:
        await silence.step()

    return app


def _alerting(app: LedgerApp, env: StatsEnv, directory: Directory) -> list[Heard]:
    """Add the timers of alerts; return who hears the ledger for them."""
    if env.sight is None:
        return []
    flooding = Flooding(Floods(), env.alerts, env.registry.current, env.clock.monotonic)
    evaluator = Evaluator(env.sight, env.registry.current, env.clock, directory.members)

    @app.timer(FLOODING_S)  # type: ignore[untyped-decorator]
    async def flood() -> None:
        await flooding.step()

    @app.timer(EVERY_S)  # type: ignore[untyped-decorator]
    async def alert() -> None:
        await evaluator.step()

    return [flooding, evaluator]


async def run_stats(env: StatsEnv, stop: asyncio.Event | None = None) -> int:
    """Count until SIGTERM, SIGINT or `stop`; return the process' exit code.

    What a process before this one left on the disk may be ahead of what Kafka has of it, so all is read from there.
    """
    stop = stop or asyncio.Event()
    on_signals(stop)
    directory = Directory(env.kafka)
    if not await _ready(env, directory, stop):
        return 0
    folder = env.settings.state_dir / env.name
    shutil.rmtree(folder / "faust", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    app = build(env, directory)
    app.loop = asyncio.get_running_loop()
    starting = asyncio.create_task(app.start(), name="start")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    crashed = asyncio.create_task(app._crashed.wait(), name="crash")  # noqa: SLF001 engine/README.md
    await asyncio.wait({starting, stopping, crashed}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and starting.exception() is None and not crashed.done():
        await asyncio.wait({stopping, crashed}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        app.end("the stats app ended by itself", starting.exception() if starting.done() else app.crash_reason)
        return EXIT_RESTART
    for task in (starting, crashed):
        task.cancel()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(app.stop(), _STOP_S)
    return 0


async def _ready(env: StatsEnv, directory: Directory, stop: asyncio.Event) -> bool:
    """Wait until there is a ledger and the table's changelog: Kafka has no subscription to nothing."""
    made = False
    while not stop.is_set():
        if not made:
            kept = {
                "replication": env.settings.replication_factor,
                "min_insync": env.settings.min_insync_replicas,
            }
            try:
                await asyncio.to_thread(ensure_journal, directory.admin, changelog(env.name), **kept)
                made = True
            except (KafkaException, TimeoutError) as exc:
                _log.warning("changelog_not_made", error=str(exc))
        if made and ledgers(env.registry.current()):
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _WAIT_S)
    return False
