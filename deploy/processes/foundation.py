"""What every process stands on: logs, registry, cached view, health page, and how it ends.

Lives here: the parts that the composition roots share. The rest of a process is in its own file.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deploy.processes import ending, vitals
from deploy.processes.clock import SystemClock
from ingress.workers import bind
from schemas import logs, settings
from schemas.backing.registry import Registry, Vault
from schemas.backing.registry.view import CachedView
from schemas.errors import ConfigurationError
from schemas.metrics import Metrics
from schemas.reasons import Reason
from schemas.settings.processes import LogSettings, RegistrySettings
from schemas.settings.tracing import TraceSettings
from schemas.tracing import OFF, Tracer


@dataclass(frozen=True, slots=True)
class Foundation:
    """The registry and a view of it that polls; `metrics` tell of the process itself already."""

    clock: SystemClock
    registry: Registry
    view: CachedView
    vault: Vault
    metrics: Metrics
    tracer: Tracer = OFF


@asynccontextmanager
async def foundation(process: str, given: RegistrySettings) -> AsyncIterator[Foundation]:
    """Open the registry, refuse a foreign version of it, load and follow its snapshot; close everything at the end."""
    clock = SystemClock()
    vault = Vault.from_settings(given)
    registry = Registry(given.registry_url.get_secret_value(), vault=vault, clock=clock, groups=given.groups)
    try:
        await asyncio.to_thread(registry.check_version)
        view = CachedView(registry, poll_s=given.registry_poll_s, clock=clock)
        await view.start()
        logs.logger(process).info("process_started", settings=settings.redacted(given))
        try:
            metrics = Metrics()
            vitals.serve(process, metrics, view)
            sampling = asyncio.create_task(vitals.sample(metrics), name="vitals")
            tracer = _tracer(process, given, clock)
            try:
                yield Foundation(clock, registry, view, vault, metrics, tracer)
            finally:
                sampling.cancel()
                await asyncio.to_thread(tracer.stop)
        finally:
            await view.stop()
    finally:
        registry.close()


def _tracer(process: str, given: RegistrySettings, clock: SystemClock) -> Tracer:
    """Return the tracer of a process; OpenTelemetry (20 MB, 0.1 s) is loaded only where spans go somewhere."""
    if not isinstance(given, TraceSettings) or not given.otlp_url:
        return OFF
    from schemas.backing.spans import open_spans

    return open_spans(process, given, clock.time_ns)


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Bind a door's port; raise `ConfigurationError` (port_taken) naming the setting that changes it."""
    try:
        return bind(host, port)
    except OSError as exc:
        raise ConfigurationError(
            f"{Reason.PORT_TAKEN}: {host}:{port}: {exc.strerror}; set {setting} to a free one"
        ) from None


def stop_event(hurry: asyncio.Event | None = None) -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; SIGINT sets `hurry` too."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if hurry is not None:

        def now() -> None:
            hurry.set()
            stop.set()

        loop.add_signal_handler(signal.SIGINT, now)
    return stop


def logging_of(process: str, given: LogSettings) -> None:
    """Make everything that this process says a line of its log."""
    logs.configure(process, level=given.log_level, fmt=given.log_format, per_minute=given.log_repeats_per_minute)
    logs.take_over()


def run(process: str, given: LogSettings, main: Callable[[], Awaitable[int]]) -> int:
    """Configure logs and run `main` on uvloop; return its exit code. The process has to end with it (ending.py)."""
    import uvloop

    logging_of(process, given)

    async def whole() -> int:
        code = 1
        try:
            code = await main()
        finally:
            ending.bounded(code)
        return code

    return uvloop.run(whole())
