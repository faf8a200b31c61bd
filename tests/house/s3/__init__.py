"""S3 stores for tests: moto in a process of its own, and versitygw where Go can build it.

Lives here: starting and ending them, one bucket. Not here: what tables make of them (tests/integration/lake).
versitygw without its option keep-alive: with it Arrow's client loses most of its writes to answers of 400.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from pyarrow.fs import S3FileSystem

from deploy.local.kafka.fetch import cache_dir
from deploy.local.process import die_with
from tests.fixtures import S3, libraries
from tests.house.polling import free_port, wait_until

BUCKET = "lake"
VERSITYGW = "v1.8.0"
_MODULE = "github.com/versity/versitygw/cmd/versitygw"
_BUILD_S = 900
_START_S = 60.0


class StoreMissingError(Exception):
    """The store cannot be had on this machine; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Store:
    """A running S3 store with an empty bucket `lake`; it wants path style, as most but AWS do."""

    port: int
    key: str = "test"
    secret: str = "testtest1"

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    def properties(self, port: int | None = None) -> dict[str, str]:
        """Return pyiceberg's properties for it, by another port if one is given."""
        return {
            "s3.endpoint": f"http://127.0.0.1:{port or self.port}",
            "s3.region": "us-east-1",
            "s3.access-key-id": self.key,
            "s3.secret-access-key": self.secret,
        }


@contextmanager
def moto(folder: Path) -> Iterator[Store]:
    """Yield moto's server, fetched once; it takes any key."""
    store = Store(free_port())
    environ = {**os.environ, "PYTHONPATH": str(libraries(S3))}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(store.port)]
    with _running(command, environ, folder, store):
        yield store


@contextmanager
def versitygw(folder: Path) -> Iterator[Store]:
    """Yield versitygw over a folder of plain files; it checks keys. Raises StoreMissingError without Go."""
    store = Store(free_port())
    (folder / "objects").mkdir(parents=True)
    environ = {**os.environ, "ROOT_ACCESS_KEY": store.key, "ROOT_SECRET_KEY": store.secret}
    command = [str(versitygw_binary()), "--port", f"127.0.0.1:{store.port}", "--quiet", "posix"]
    with _running([*command, str(folder / "objects")], environ, folder, store):
        yield store


def versitygw_binary() -> Path:
    """Return the program, built by Go once (85 to 130 s) and kept in the cache. Raises StoreMissingError."""
    folder = cache_dir(os.environ) / "containers" / f"versitygw-{VERSITYGW}"
    binary = folder / "versitygw"
    if binary.exists():
        return binary
    go = shutil.which("go")
    if go is None:
        raise StoreMissingError(
            f"versitygw {VERSITYGW} is built by Go, and there is none on the PATH: install Go 1.24 or newer "
            "(Debian: apt-get install golang-go); `make test` runs the same tests on moto"
        )
    environ = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(folder)}
    command = [go, "install", "-trimpath", "-ldflags=-s -w", f"{_MODULE}@{VERSITYGW}"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=_BUILD_S, check=False)
    if done.returncode:
        raise StoreMissingError(f"versitygw could not be built: {done.stderr.strip()[-1000:]}")
    return binary


@contextmanager
def _running(command: list[str], environ: Mapping[str, str], folder: Path, store: Store) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "store.out"
    with output.open("ab") as file:
        process = subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 one prctl call
        )

    def answers() -> bool:
        assert process.poll() is None, output.read_text(errors="replace")[-2000:]
        try:
            requests.get(store.url, timeout=10)
        except requests.ConnectionError:
            return False
        return True

    try:
        wait_until(answers, _START_S, what="the S3 store")
        client = S3FileSystem(
            endpoint_override=store.url,
            access_key=store.key,
            secret_key=store.secret,
            region="us-east-1",
            allow_bucket_creation=True,
        )
        client.create_dir(BUCKET)
        yield
    finally:
        process.kill()
        process.wait()
