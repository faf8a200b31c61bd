"""A real `hookberg up` in a process of its own, with a data folder of its own.

Lives here: start, readiness, end. May not live here: what tests ask it (black box: HTTP and tables only).
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.kafka import JvmOptions
from deploy.local.state import read_state
from tests.house.polling import free_port, wait_until

READY_S = 120.0
END_S = 25.0
_TAIL = 3000
HOOKBERG_UP = (sys.executable, "-m", "deploy.cli", "up")


@dataclass(frozen=True, slots=True)
class UpServer:
    """A running local start. `output` is the file with everything it printed."""

    data_dir: Path
    process: "subprocess.Popen[bytes]"
    output: Path

    def state(self) -> Mapping[str, Any]:
        """Return the present `up.json`."""
        document = read_state(self.data_dir)
        assert document is not None, self.tail()
        return document

    @property
    def url(self) -> str:
        """Return the control plane's URL."""
        return str(self.state()["url"])

    @property
    def ingest_url(self) -> str:
        """Return the fast door's URL."""
        return str(self.state()["ingestUrl"])

    @property
    def admin_key(self) -> str:
        """Return the first API key."""
        return (self.data_dir / "admin.key").read_text().strip()

    def pid(self, name: str) -> int:
        """Return the pid of a process, once it has one."""
        return int(wait_until(lambda: self.state()["processes"][name]["pid"], 30.0, what=f"a pid of {name}"))

    def await_ready(self, deadline_s: float = READY_S) -> None:
        """Wait until all processes are ready; fail with the output's end when the server ends before."""

        def ready() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.tail()}"
            document = read_state(self.data_dir)
            return bool(document and document["ready"])

        try:
            wait_until(ready, deadline_s, every_s=0.1, what="readiness of all processes")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from error

    def end(self, deadline_s: float = END_S) -> int:
        """Ask the server to drain (SIGTERM) and return its exit code; SIGKILL and failure after `deadline_s`."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {deadline_s:g} s:\n{self.tail()}") from None

    def kill(self) -> None:
        """Send SIGKILL to the supervisor."""
        self.process.kill()
        self.process.wait()

    def tail(self) -> str:
        """Return the end of the output."""
        return self.output.read_text(errors="replace")[-_TAIL:]


@contextmanager
def run_up(
    data_dir: Path,
    *,
    environ: Mapping[str, str] | None = None,
    command: tuple[str, ...] = HOOKBERG_UP,
    wait: bool = True,
) -> Iterator[UpServer]:
    """Yield `hookberg up` on free ports, ready when `wait`; ends it if it still runs."""
    env = {"HOOKBERG_LOCAL_KAFKA_JVM": " ".join(JvmOptions.small().options), **os.environ, **(environ or {})}
    port = free_port()
    arguments = ["--data-dir", str(data_dir), "--port", str(port), "--ingest-port", str(free_port((port,)))]
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    output = data_dir.parent / f"{data_dir.name}.out"
    with output.open("ab") as file:
        process = subprocess.Popen([*command, *arguments], env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    server = UpServer(data_dir, process, output)
    try:
        if wait:
            server.await_ready()
        yield server
    finally:
        server.end()


def read_json(path: Path) -> Any:
    """Return a JSON file's value."""
    return json.loads(path.read_text())
