"""One compose stack of a test: its secrets and ports, up, health, logs, down.

Lives here: compose's commands. May not live here: what a test asks the stack (test_compose.py).
"""

import base64
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.compose.engine import CommandError, Engine, output
from tests.compose.images import ROOT
from tests.house.polling import free_port

UP_S = 300.0
DOWN_S = 120.0
PROBE_EVERY_S = 1.0
LOG_TAIL = 2000
Steps = Callable[[str], AbstractContextManager[list[str]]]
"""Times a named block; what the block appends to the list is printed beside the seconds."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack. `secrets` are the texts that no log may hold, by name."""

    engine: Engine
    project: str
    api: str
    ingest: str
    environ: dict[str, str] = field(repr=False)
    secrets: dict[str, str] = field(repr=False)

    def compose(self, *arguments: str, timeout_s: float = 60.0) -> str:
        """Run one compose command of this stack."""
        command = [*self.engine.compose, "-p", self.project, "-f", str(ROOT / "docker-compose.yml"), *arguments]
        return output(command, {**self.engine.environ, **self.environ}, timeout_s, cwd=ROOT)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Add the end of each container's output to whatever fails in the block."""
        try:
            yield
        except Exception as error:
            for name, text in self.logs().items():
                error.add_note(f"== {name}\n{text[-LOG_TAIL:]}")
            raise

    def up(self) -> None:
        """Start what does not run and wait until compose is done with it."""
        self.compose("up", "-d", "--no-build", timeout_s=UP_S)

    def down(self) -> None:
        """Remove the stack's containers, network and volumes."""
        command = ("down", "-v", "--remove-orphans", "-t", "5")
        try:
            self.compose(*command, timeout_s=DOWN_S)
        except CommandError:
            # A container that its restart policy brought back between compose's stop and its removal keeps the network.
            for identity in self.identities():
                self.engine.run("rm", "-f", "-v", identity)
            self.compose(*command, timeout_s=DOWN_S)

    def identities(self) -> list[str]:
        """Return the ids of the stack's containers, ended ones too."""
        return self.engine.run("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what the engine says of each container, by the service's name."""
        identities = self.engine.run(
            "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}"
        ).split()
        if not identities:
            return {}
        listed = json.loads(self.engine.run("inspect", *identities))
        return {entry["Config"]["Labels"]["com.docker.compose.service"]: entry for entry in listed}

    def logs(self) -> dict[str, str]:
        """Return each container's output, by the service's name."""
        found = {}
        for name, entry in self.containers().items():
            command = [self.engine.cli, "logs", entry["Id"]]
            # Both streams: the engine gives a container's standard error on its own.
            found[name] = output(["sh", "-c", '"$@" 2>&1', "sh", *command], self.engine.environ, 60.0)
        return found


@contextmanager
def running(engine: Engine, step: Steps) -> Iterator[Stack]:
    """Yield the stack once compose is done with its start; takes it down with its volumes in any case."""
    hidden = {
        "HOOKBERG_VAULT_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "HOOKBERG_ADMIN_KEY": f"hbk_{secrets.token_urlsafe(32)}",
        "POSTGRES_PASSWORD": secrets.token_hex(16),
        "S3_SECRET_KEY": secrets.token_hex(16),
    }
    api = free_port()
    ingest = free_port((api,))
    urls = (f"http://127.0.0.1:{api}", f"http://127.0.0.1:{ingest}")
    environ = {
        **hidden,
        "HOOKBERG_API_PORT": str(api),
        "HOOKBERG_INGEST_PORT": str(ingest),
        "HOOKBERG_PUBLIC_INGEST_URL": urls[1],
    }
    stack = Stack(engine, f"hookberg-test-{secrets.token_hex(3)}", *urls, environ, hidden)
    try:
        with _health_checks(stack):
            with stack.explaining(), step("compose up"):
                stack.up()
            yield stack
    finally:
        with step("compose down"):
            stack.down()


@contextmanager
def _health_checks(stack: Stack) -> Iterator[None]:
    """Run the containers' health checks while the block runs: Podman leaves that to systemd, which may be absent."""
    if not stack.engine.cli.endswith("podman"):
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_probe, args=(stack, ended), name="health checks")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _probe(stack: Stack, ended: threading.Event) -> None:
    while not ended.wait(PROBE_EVERY_S):
        with suppress(CommandError):  # a container that has just gone; the next round sees what there is
            for identity in stack.identities():
                if not ended.is_set():
                    _check(stack, identity)


def _check(stack: Stack, identity: str) -> None:
    with suppress(CommandError):  # not healthy yet, or a service without a check: compose reads the state itself
        stack.engine.run("healthcheck", "run", identity, timeout_s=20.0)
