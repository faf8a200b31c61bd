"""One worker of `hookberg ingress`: its wiring, its life and its end.

Lives here: building Env from settings and ports, serving a socket, draining. The ports' real things and the clock come
from deploy/processes/ingress.py; several workers on one socket: workers.py.
"""

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import socket
from functools import partial

from aiohttp import web

from ingress.admission import Admission
from ingress.env import Env, Limits
from ingress.explain import explain
from ingress.fast import Door
from ingress.heads import Unfinished
from ingress.jwks import KeySets, KeyTimes
from ingress.mtls import clients
from ingress.overload.measure import UNTOLD, Backlogs, Measure
from ingress.overload.watch import Watch
from ingress.probes import probes
from ingress.publish import DoorPublisher
from ingress.rates import Rates
from ingress.refusals import Refusals
from ingress.tally import Tally
from ingress.tls import Listener, files
from ingress.tls_site import TlsSite
from ingress.workers import Control
from schemas.backing.kafka.pressure_reader import PressureReader
from schemas.errors import EXIT_RESTART
from schemas.logs import logger
from schemas.metrics import Metrics
from schemas.ports import Clock, Egress, Publisher, Registrar, RegistryView, TallySink
from schemas.settings.processes import DoorSettings, IngressSettings
from schemas.tracing import OFF, Tracer
from schemas.wire.pressure import News

BACKLOG = 1024
GRACE_S = 0.2
"""Between the last accept and the end of idle connections: one that was just accepted has its request on the way."""
_DRAIN_EXTRA_S = 1.0
_NS_IN_MS = 1_000_000
_log = logger("ingress")


def make_env(
    settings: DoorSettings,
    *,
    view: RegistryView,
    publisher: Publisher,
    registrar: Registrar,
    tallies: TallySink,
    clock: Clock,
    metrics: Metrics,
    egress: Egress,
    receipt_key: bytes,
    listener: Listener | None = None,
    tracer: Tracer = OFF,
) -> Env:
    """Put a door's surroundings together; used by both doors. `receipt_key` as made by `receipt.derive`.

    `listener`: the TLS listener, whose client certificates count. Raises `ConfigurationError`.
    """
    start = f"{clock.time_ns() // _NS_IN_MS}-{secrets.token_hex(6)}"
    public_url = settings.public_ingest_url
    tally = Tally(tallies, start, metrics, now_ms=lambda: clock.time_ns() // _NS_IN_MS)
    return Env(
        view=view,
        publisher=publisher,
        registrar=registrar,
        tally=tally,
        refusals=Refusals(tallies, clock, os.urandom, partial(explain, public_url=public_url)),
        admission=Admission(settings.in_flight_requests, settings.in_flight_bytes),
        clock=clock,
        limits=Limits(settings.body_limit_bytes, settings.body_grace_s, settings.body_min_rate_bytes_s),
        default_tenant=settings.default_tenant,
        public_url=public_url,
        random_bytes=os.urandom,
        keys=KeySets(
            egress, clock, KeyTimes(settings.jwks_cache_s, settings.jwks_stale_s, settings.jwks_retry_s), metrics
        ),
        overload=Watch(view, clock, tally),
        receipt_key=receipt_key,
        clients=clients(settings, listener),
        public_tls_url=settings.public_tls_ingest_url,
        rates=Rates.of(settings, clock, metrics),
        unfinished=Unfinished(settings.in_flight_bytes // 4),
        tracer=tracer,
    )


async def serve(
    settings: IngressSettings,
    *,
    view: RegistryView,
    publisher: DoorPublisher,
    registrar: Registrar,
    tallies: TallySink,
    clock: Clock,
    metrics: Metrics,
    egress: Egress,
    sock: socket.socket,
    receipt_key: bytes,
    tls_sock: socket.socket | None = None,
    control: Control | None = None,
    stop: asyncio.Event | None = None,
    tracer: Tracer = OFF,
    backlogs: Backlogs = UNTOLD,
) -> int:
    """Serve a bound socket until SIGTERM, SIGINT, the supervisor's end or `stop`; return the exit code.

    0 after a drain; EXIT_RESTART when the producer failed for good. `tls_sock` is served with the certificate of the
    settings. `backlogs`: where it learns how much of its sources waits. Raises `ConfigurationError` when the
    certificate cannot be used.
    """
    stop = stop or asyncio.Event()
    listener = None if tls_sock is None else await asyncio.to_thread(Listener.open, files(settings))
    env = make_env(
        settings,
        view=view,
        publisher=publisher,
        registrar=registrar,
        tallies=tallies,
        clock=clock,
        metrics=metrics,
        egress=egress,
        receipt_key=receipt_key,
        listener=listener,
        tracer=tracer,
    )
    publisher.start()
    found: list[Door] = []
    door = Door(env, probes(env, publisher, metrics, lambda: found[0].draining))
    found.append(door)
    runner = web.ServerRunner(
        door.server(settings.keepalive_s), shutdown_timeout=settings.ack_budget_s + _DRAIN_EXTRA_S
    )
    await runner.setup()
    site = web.SockSite(runner, sock, backlog=BACKLOG)
    await site.start()
    if listener is not None and tls_sock is not None:
        listener.note = env.tally.handshake_refused
        reload_s = settings.ingest_tls_reload_s
        await TlsSite(runner, tls_sock, listener, reload_s=reload_s, backlog=BACKLOG).start()
    counting = asyncio.create_task(counted(env, settings.tally_flush_s), name="tally")
    following = asyncio.create_task(followed(env, backlogs), name="following")
    hurry = _listen(stop, control)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    tls_port = None if tls_sock is None else tls_sock.getsockname()[1]
    _log.info("ingress_ready", host=sock.getsockname()[0], port=sock.getsockname()[1], tls_port=tls_port)
    if control is not None:
        control.ready()
    await until(stop, publisher.failed)
    door.draining = True
    await noticed(settings.drain_notice_s, hurry, publisher.failed)
    await stop_accepting(runner, env)
    await ended(following)
    await _drain(settings, env, publisher, counting)
    return EXIT_RESTART if publisher.failed.is_set() else 0


async def stop_accepting(runner: web.BaseRunner, env: Env) -> None:
    """Accept nothing more, answer what was accepted, then end idle connections and wait for handlers.

    In this order: a successor on the same socket takes new connections at once, and a connection that this worker took
    a moment ago is not closed before its request has come.
    """
    env.overload.delays.end()
    for site in list(runner.sites):
        await site.stop()
    await asyncio.sleep(GRACE_S)
    await runner.cleanup()


async def _drain(settings: IngressSettings, env: Env, publisher: DoorPublisher, counting: "asyncio.Task[None]") -> None:
    """Wait for Kafka's reports of what was answered or is unknown; keep the last counters."""
    left = await publisher.drain(settings.ack_budget_s + _DRAIN_EXTRA_S)
    await ended(counting)
    await flushed(env)
    _log.info("ingress_drained", unknown=left)


async def followed(env: Env, backlogs: Backlogs) -> None:
    """Keep key sets and what is known of backlogs up to date for ever; cancelled at the end."""
    async with asyncio.TaskGroup() as both:
        both.create_task(env.keys.run(env.view), name="key-sets")
        both.create_task(watched(env, backlogs), name="backlogs")


async def watched(env: Env, backlogs: Backlogs) -> None:
    """Know of the sources' backlogs for ever: told by the topic, else measured here; cancelled at the end."""
    loop, reader = asyncio.get_running_loop(), None

    def told(news: list[News]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(env.overload.take, news)

    if backlogs.client is not None:
        reader = PressureReader(backlogs.client, told)
        reader.start()
    try:
        await Measure(env.overload, env.view, env.tally, env.clock, backlogs).run()
    finally:
        if reader is not None:
            await asyncio.to_thread(reader.stop)


async def counted(env: Env, every_s: float) -> None:
    """Flush counters and refusals for ever; cancelled at the end, after which `flushed` sends what is left."""
    async with asyncio.TaskGroup() as both:
        both.create_task(env.tally.run(every_s))
        both.create_task(env.refusals.run())


async def flushed(env: Env) -> None:
    """Send what is left of counters and refusals."""
    await env.tally.flush()
    await env.refusals.flush()


async def ended(task: "asyncio.Task[None]") -> None:
    """End a task that runs for ever."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _listen(stop: asyncio.Event, control: Control | None) -> asyncio.Event:
    """SIGTERM ends with notice; SIGINT, a supervisor's end and, of a single worker, SIGHUP set what is returned too."""
    loop, hurry = asyncio.get_running_loop(), asyncio.Event()

    def now() -> None:
        hurry.set()
        stop.set()

    ends = {signal.SIGTERM: stop.set, signal.SIGINT: now}
    if control is None:
        ends[signal.SIGHUP] = now
    for number, end in ends.items():
        with contextlib.suppress(ValueError, RuntimeError):  # not the main thread: whoever embeds us sets `stop`
            loop.add_signal_handler(number, end)
    if control is not None:
        control.watch(loop, now)
    return hurry


async def noticed(notice_s: float, hurry: asyncio.Event, failed: asyncio.Event) -> None:
    """Go on serving for `notice_s` while /readyz fails, so that whoever sends requests here learns of it first.

    Not when told to hurry, and not with a producer that can store nothing.
    """
    if notice_s:
        _log.info("ending_soon", notice_s=notice_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(until(hurry, failed), notice_s)


async def until(stop: asyncio.Event, failed: asyncio.Event) -> None:
    """Wait until told to stop, or the producer has failed for good and only a new process can heal it."""
    waits = [asyncio.create_task(stop.wait()), asyncio.create_task(failed.wait())]
    _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
