"""The container engine of this machine and its commands.

Lives here: finding an engine (DOCKER_HOST, the default socket, else Podman's own service), its command lines. May not
live here: what is built and run on it. Podman's service:
https://docs.podman.io/en/latest/markdown/podman-system-service.1.html
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.house.container import engine_answers
from tests.house.polling import wait_until

SERVICE_START_S = 20.0
SERVICE_END_S = 10.0


class EngineMissingError(Exception):
    """No engine answers and none can be started; the text says what to install."""


class CommandError(Exception):
    """A command of the engine failed; the text is the end of what it printed."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers. `cli` is `podman` or `docker`; `compose` the command that reads compose files."""

    cli: str
    compose: tuple[str, ...]
    environ: Mapping[str, str]

    def run(
        self,
        *arguments: str,
        timeout_s: float = 60.0,
        environ: Mapping[str, str] | None = None,
        input_file: int | None = None,
    ) -> str:
        """Run one command of the engine and return its output. Raises CommandError."""
        return output([self.cli, *arguments], {**self.environ, **(environ or {})}, timeout_s, input_file)

    def has_image(self, name: str) -> bool:
        """Tell whether an image is in the store."""
        return self._succeeds("image", "inspect", name)

    def label(self, name: str, key: str) -> str:
        """Return an image's label, empty when it has none."""
        return self.run("image", "inspect", "--format", f'{{{{index .Config.Labels "{key}"}}}}', name).strip()

    def _succeeds(self, *arguments: str) -> bool:
        try:
            self.run(*arguments)
        except CommandError:
            return False
        return True


def output(
    command: Sequence[str],
    environ: Mapping[str, str],
    timeout_s: float,
    input_file: int | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command and return its standard output. Raises CommandError with the end of what it printed."""
    source = subprocess.DEVNULL if input_file is None else input_file
    try:
        done = subprocess.run(
            command, env=dict(environ), stdin=source, capture_output=True, text=True, errors="replace",
            timeout=timeout_s, check=False, cwd=cwd,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(str(error)) from error
    if done.returncode:
        raise CommandError(f"{' '.join(command[:4])} …: exit {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


@contextmanager
def engine() -> Iterator[Engine]:
    """Yield the machine's engine; a Podman service that had to be started for it ends with the block.

    Raises EngineMissingError.
    """
    environ = {key: value for key, value in os.environ.items() if key != "HOOKBERG_TEST_BROKER"}
    if engine_answers(environ):
        yield Engine(_cli(environ), _compose(environ), environ)
        return
    podman = shutil.which("podman")
    if podman is None:
        raise EngineMissingError("no container engine answers on DOCKER_HOST and Podman is not installed")
    with tempfile.TemporaryDirectory(prefix="hookberg-engine-") as folder:
        environ["DOCKER_HOST"] = f"unix://{folder}/engine.sock"
        service = subprocess.Popen(
            [podman, "system", "service", "--time", "0", environ["DOCKER_HOST"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: engine_answers(environ), SERVICE_START_S, what="Podman's service")
            yield Engine("podman", _compose(environ), environ)
        finally:
            service.terminate()
            try:
                service.wait(SERVICE_END_S)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()


def _cli(environ: Mapping[str, str]) -> str:
    """Return `podman` when that is what answers (its builder knows secrets, the plain Docker API does not)."""
    docker = shutil.which("docker")
    if docker is not None:
        try:
            if "Podman" not in output([docker, "version"], environ, 30.0):
                return docker
        except CommandError:
            pass
    return shutil.which("podman") or docker or "docker"


def _compose(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the compose command: the plugin when there is one, else docker-compose. Raises EngineMissingError."""
    for command in (("docker", "compose"), ("docker-compose",)):
        try:
            output([*command, "version"], environ, 30.0)
        except CommandError:
            continue
        return command
    raise EngineMissingError("neither `docker compose` nor docker-compose is installed")
