"""`hookberg up`: everything on this machine, from an empty folder to ready, and back down in order.

    folder, lock, ports -> Kafka (fetched when missing) -> prepare (migrations, first key)
    -> api ingress streams sinks notify

Lives here: the order of a start and of its end. May not live here: how one step works (the other files of this folder),
what `prepare` does (deploy/processes).
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console

from deploy.local.banner import explain_failure, greet, report_progress, say
from deploy.local.errors import LocalError
from deploy.local.folder import DataFolder, ensure_keys, open_folder
from deploy.local.kafka import Broker, JvmOptions, Runtime, ensure_runtime
from deploy.local.kafka.config import load_or_create
from deploy.local.kafka.probe import any_broker
from deploy.local.lock import FolderLock
from deploy.local.logs import LogStream
from deploy.local.plan import Ports, choose_ports, environment, public_url
from deploy.local.process import ProcessSpec
from deploy.local.readiness import http_ready
from deploy.local.state import UpState
from deploy.local.supervisor import ChildState, Supervisor
from deploy.local.thread import in_daemon_thread
from schemas.errors import EXIT_CONFIGURATION, ConfigurationError
from schemas.reasons import Reason

KAFKA_READY_S = 90.0
PROCESSES_READY_S = 120.0
CLUSTER_ANSWER_S = 10.0
DRAIN = {
    "api": (0, 4.0),
    "ingress": (0, 4.0),
    "streams": (1, 4.0),
    "sinks": (2, 4.0),
    "notify": (2, 4.0),
    "kafka": (3, 2.5),
}
"""Stage and seconds: doors first, then what reads from them, the broker last; 14.5 s in all."""

Prepare = Callable[[Mapping[str, str]], Awaitable[None]]


def own_command(name: str) -> tuple[str, ...]:
    """Return the command line of one of our processes."""
    return (sys.executable, "-m", "deploy.cli", name)


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What the user chose. `prepare(env)` migrates and makes the first key; `command` says how a process is run."""

    prepare: Prepare
    data_dir: Path = Path(".hookberg")
    port: int = 8080
    ingest_port: int = 8081
    processes: tuple[str, ...] = ("api", "ingress", "streams", "sinks", "notify")
    command: Callable[[str], tuple[str, ...]] = own_command
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)


async def up(options: UpOptions, out: Console) -> int:
    """Run until SIGINT or SIGTERM; return the exit code: 0 after a drain, 78 when something cannot start.

    A second signal while draining kills at once. Prints reasons (`port_taken`, `data_dir_locked`, `java_missing`, …).
    """
    try:
        folder = open_folder(options.data_dir)
        with FolderLock(folder.root):
            ports = choose_ports(options.port, options.ingest_port)
            ensure_keys(folder)
            return await _Run(options, out, folder, ports).run()
    except ConfigurationError as error:
        explain_failure(out, error)
        return EXIT_CONFIGURATION


class _Run:
    """One start with what belongs to it."""

    def __init__(self, options: UpOptions, out: Console, folder: DataFolder, ports: Ports) -> None:
        self._options, self._out, self._folder, self._ports = options, out, folder, ports
        self._logs = LogStream(out, folder.logs)
        self._supervisor = Supervisor(self._logs, on_change=self._changed)
        environ = options.environ
        brokers = environ.get("HOOKBERG_KAFKA_BOOTSTRAP_SERVERS", "")
        self._state = UpState(folder, ports, brokers, public_url(environ, ports))
        self._broker: Broker | None = None
        self._stop = asyncio.Event()
        self._began = time.monotonic()

    async def run(self) -> int:
        """Start, wait for a signal or a failure, drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_end)
        start = asyncio.create_task(self._start())
        stop = asyncio.create_task(self._stop.wait())
        failure = asyncio.create_task(self._supervisor.failure())
        try:
            await asyncio.wait({start, stop, failure}, return_when=asyncio.FIRST_COMPLETED)
            if start.done() and not start.exception():
                await asyncio.wait({stop, failure}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
            if failure.done() and not stop.done():
                raise failure.result()
        finally:
            for task in (start, stop, failure):
                task.cancel()
            await asyncio.gather(start, stop, failure, return_exceptions=True)
            say(self._out, "stopping: api and ingress, then streams, sinks and notify, kafka")
            await self._supervisor.drain()
            self._state.remove()
            self._logs.close()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)
        say(self._out, "stopped")
        return 0

    def _asked_to_end(self) -> None:
        if self._stop.is_set():
            self._supervisor.kill_now()
        self._stop.set()

    def _changed(self, children: tuple[ChildState, ...]) -> None:
        for child in children:
            if child.name == "kafka" and child.pid and self._broker:
                self._broker.adopt(1, child.pid)
        self._state.write(children)

    async def _start(self) -> None:
        if self._state.bootstrap:
            await self._await_cluster()
        else:
            await self._start_kafka()
        env = environment(self._options.environ, self._folder, self._ports, self._state.bootstrap)
        await self._options.prepare(env)
        await self._supervisor.start([self._spec(name, env) for name in self._options.processes], PROCESSES_READY_S)
        self._state.ready_s = round(time.monotonic() - self._began, 1)
        greet(self._out, self._state, self._options.data_dir)
        self._state.write(self._supervisor.states())  # last: whoever sees `ready` in the file finds the rest done

    async def _start_kafka(self) -> None:
        environ = self._options.environ
        progress = partial(report_progress, self._out)
        runtime: Runtime = await in_daemon_thread(partial(ensure_runtime, environ, progress))
        given = tuple(environ.get("HOOKBERG_LOCAL_KAFKA_JVM", "").split())
        jvm = JvmOptions(given) if given else JvmOptions()
        config = load_or_create(self._folder.kafka, jvm=jvm, avoid=self._ports.all())
        broker = self._broker = Broker(config, runtime)
        await in_daemon_thread(broker.kill)  # one that outlived a killed supervisor (where children do not die with it)
        await in_daemon_thread(partial(broker.prepare, 1))
        self._state.bootstrap = config.bootstrap
        stage, drain_s = DRAIN["kafka"]
        spec = ProcessSpec(
            "kafka",
            broker.command(1),
            lambda: asyncio.to_thread(broker.ready),
            cwd=config.node_dir(1),
            drain_stage=stage,
            drain_s=drain_s,
        )
        await self._supervisor.start([spec], KAFKA_READY_S)

    async def _await_cluster(self) -> None:
        deadline = time.monotonic() + CLUSTER_ANSWER_S
        while not await asyncio.to_thread(any_broker, self._state.bootstrap):
            if time.monotonic() > deadline:
                text = f"no broker of HOOKBERG_KAFKA_BOOTSTRAP_SERVERS answers ({self._state.bootstrap}). Start it"
                raise LocalError(Reason.BROKER_NOT_READY, f"{text}, or unset the variable to use a local one")
            await asyncio.sleep(0.2)

    def _spec(self, name: str, env: Mapping[str, str]) -> ProcessSpec:
        stage, drain_s = DRAIN[name]
        ready = partial(http_ready, self._ports.of(name))
        return ProcessSpec(name, self._options.command(name), ready, env=env, drain_stage=stage, drain_s=drain_s)
