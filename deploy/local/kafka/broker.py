"""A cluster's processes: format, start, await, stop, kill; only those whose command line names its own config.

Lives here: `Broker`. May not live here: fetching (fetch.py), supervision (deploy/local/supervisor.py).
KRaft storage tool: https://kafka.apache.org/documentation/#kraft_storage
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.kafka.config import LOG4J, BrokerConfig
from deploy.local.kafka.fetch import Runtime
from deploy.local.kafka.probe import brokers_seen
from deploy.local.ports import is_free
from schemas.reasons import Reason

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
_FORMAT_TIMEOUT_S = 60
_EXEC_ASKS, _EXEC_PAUSE_S = 50, 0.001
_DEAD = frozenset("ZX")
"""States of a process that has ended (proc(5))."""
_POLL_S = 0.05
_DETACH = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'
"""Run a command for good and print its pid: it outlives us and is reaped by init, whoever ends it."""
_TAIL_LINES = 15
_TAIL_BYTES = 32_768


class Broker:
    """One local cluster. Blocking; `sleep` and `clock` are parameters."""

    def __init__(
        self,
        config: BrokerConfig,
        runtime: Runtime,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self._runtime = runtime
        self._sleep = sleep
        self._clock = clock
        self._launched: set[int] = set()

    def prepare(self, node: int) -> None:
        """Write one node's files, format its storage when it is new. Raises LocalError `broker_not_ready`."""
        folder = self.config.node_dir(node)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.config.properties_path(node).write_text(self.config.properties_text(node))
        (folder / "log4j2.properties").write_text(LOG4J)
        if (folder / "log" / "meta.properties").exists():
            return
        command = [*self._java(), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        command += [
            *self._classpath(folder),
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            "-t",
            self.config.cluster_id,
        ]
        command += ["-c", str(self.config.properties_path(node))]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_FORMAT_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LocalError(Reason.BROKER_NOT_READY, f"Kafka's storage could not be formatted: {error}") from error
        if done.returncode:
            text = _last(done.stdout + done.stderr)
            raise LocalError(Reason.BROKER_NOT_READY, f"Kafka's storage could not be formatted:\n{text}")

    def command(self, node: int) -> tuple[str, ...]:
        """Return the command line that runs one node in the foreground, logging to its standard output."""
        folder = self.config.node_dir(node)
        main = ("kafka.Kafka", str(self.config.properties_path(node)))
        return (*self._java(), *self.config.jvm.options, "-Djava.awt.headless=true", *self._classpath(folder), *main)

    def start(self, nodes: Iterable[int] | None = None, timeout_s: float = START_TIMEOUT_S) -> float:
        """Start what is not running, detached, and wait until the whole cluster answers; return the seconds it took.

        Output goes to `n<node>/server.log`. Raises LocalError `broker_not_ready` with the log's last lines.
        """
        started = self._clock()
        wanted = tuple(nodes or self.config.node_ids)
        for node in wanted:
            if self.pid(node) is None:
                self._launch(node)
        self.await_ready(timeout_s, wanted)
        return self._clock() - started

    def await_ready(self, timeout_s: float = START_TIMEOUT_S, nodes: tuple[int, ...] | None = None) -> None:
        """Wait until each of `nodes` (default: all) lists at least that many brokers."""
        wanted = nodes or self.config.node_ids
        deadline = self._clock() + timeout_s
        while not all(brokers_seen(self.config.nodes[node - 1].broker) >= len(wanted) for node in wanted):
            ended = [node for node in wanted if node in self._launched and self.pid(node) is None]
            if ended or self._clock() > deadline:
                why = f"node {ended[0]} ended" if ended else f"no answer within {timeout_s:.0f} s"
                text = self.log_tail(ended[0] if ended else wanted[0])
                for node in wanted:
                    if node in self._launched:
                        self._signal(node, signal.SIGKILL)
                raise LocalError(Reason.BROKER_NOT_READY, f"Kafka did not become ready: {why}. Last log lines:\n{text}")
            self._sleep(_POLL_S)

    def ready(self) -> bool:
        """Tell whether every node lists every broker now."""
        return all(brokers_seen(ports.broker) >= len(self.config.nodes) for ports in self.config.nodes)

    def stop(self, nodes: Iterable[int] | None = None, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End nodes cleanly (SIGTERM), with SIGKILL after `timeout_s` (the last of three nodes waits for a quorum)."""
        wanted = self._running(nodes)
        for node in wanted:
            self._signal(node, signal.SIGTERM)
        if not self._await_gone(wanted, timeout_s):
            self.kill(wanted)

    def kill(self, nodes: Iterable[int] | None = None) -> None:
        """Send SIGKILL and wait until the processes are gone."""
        wanted = self._running(nodes)
        for node in wanted:
            self._signal(node, signal.SIGKILL)
        self._await_gone(wanted, STOP_TIMEOUT_S)

    def pid(self, node: int) -> int | None:
        """Return the pid of a running node, by its pid file and its command line; None when it is not running."""
        try:
            pid = int((self.config.node_dir(node) / "pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if str(self.config.properties_path(node)) in _command_line(pid) else None

    def adopt(self, node: int, pid: int) -> None:
        """Write the pid of a node that somebody else started with `command`, so `pid`, `stop` and `kill` find it."""
        (self.config.node_dir(node) / "pid").write_text(str(pid))

    def log_tail(self, node: int) -> str:
        """Return the last lines of a detached node's log."""
        path = self.config.node_dir(node) / "server.log"
        if not path.exists():
            return "(no log)"
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return _last(file.read().decode(errors="replace"))

    def _launch(self, node: int) -> None:
        self.prepare(node)
        folder = self.config.node_dir(node)
        (folder / "server.log").unlink(missing_ok=True)
        done = subprocess.run(
            ["/bin/sh", "-c", _DETACH, "sh", str(folder / "server.log"), *self.command(node)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            start_new_session=True,
            check=True,
        )
        self._launched.add(node)
        self.adopt(node, int(done.stdout))

    def _signal(self, node: int, number: signal.Signals) -> None:
        pid = self.pid(node)
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return

    def _running(self, nodes: Iterable[int] | None) -> tuple[int, ...]:
        return tuple(node for node in nodes or self.config.node_ids if self.pid(node) is not None)

    def _await_gone(self, nodes: tuple[int, ...], timeout_s: float) -> bool:
        """Wait until the nodes are gone and their listeners too: the kernel empties the command line first."""
        deadline = self._clock() + timeout_s
        while any(self.pid(node) is not None or not is_free(self.config.nodes[node - 1].broker) for node in nodes):
            if self._clock() > deadline:
                return False
            self._sleep(_POLL_S)
        self._launched.difference_update(nodes)
        return True

    def _java(self) -> tuple[str, ...]:
        """Return how Java begins: it reads file names by the locale, and POSIX's own knows ASCII only."""
        return ("/usr/bin/env", "LC_ALL=C.UTF-8", str(self._runtime.java))

    def _classpath(self, folder: Path) -> tuple[str, ...]:
        log4j = f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"
        return (log4j, "-cp", str(self._runtime.jars / "*"))


def _command_line(pid: int) -> str:
    """Return a process's command line, empty when there is none (also for a zombie)."""
    if Path("/proc/self").exists():
        return _from_proc(pid)
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout


def _from_proc(pid: int) -> str:
    """Read /proc; a process that just executes another program has no command line for a moment and is asked again."""
    folder = Path(f"/proc/{pid}")
    try:
        for _ in range(_EXEC_ASKS):
            if found := (folder / "cmdline").read_bytes():
                return found.replace(b"\0", b" ").decode(errors="replace")
            if (folder / "stat").read_text().rpartition(")")[2].split()[0] in _DEAD:
                break
            time.sleep(_EXEC_PAUSE_S)
    except OSError:
        pass
    return ""


def _last(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-_TAIL_LINES:]) or "  (empty)"
