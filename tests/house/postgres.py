"""A throw-away PostgreSQL server: made in a temporary folder, without durability, gone afterwards.

Lives here: finding the binaries, init, start, fresh databases. As root it drops to user `postgres`: initdb refuses.
https://www.postgresql.org/docs/current/non-durability.html
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.house.polling import free_port

_SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=50",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
)
_TIMEOUT_S = 60


class PostgresMissingError(Exception):
    """No PostgreSQL server binaries on this machine; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server; user `test`, no password, loopback only."""

    port: int

    def fresh_database(self) -> str:
        """Create an empty database and return its SQLAlchemy URL (driver psycopg)."""
        name = f"t_{uuid.uuid4().hex}"
        with psycopg.connect(
            f"host=127.0.0.1 port={self.port} user=test dbname=postgres", autocommit=True
        ) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return f"postgresql+psycopg://test@127.0.0.1:{self.port}/{name}"


def binaries() -> Path:
    """Return the folder of `initdb` and `pg_ctl`. Raises PostgresMissingError."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if not installed:
        raise PostgresMissingError("no PostgreSQL server here (Debian: apt-get install postgresql)")
    return installed[-1]


@contextmanager
def throw_away_postgres() -> Iterator[Postgres]:
    """Yield a running server; ends it and removes its data."""
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="hookberg-pg-"))
    port = free_port()
    if os.getuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = str(folder / "data")
    try:
        _run(programs / "initdb", "-D", data, "-A", "trust", "-U", "test", "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 " + " ".join(f"-c {item}" for item in _SETTINGS)
        log = str(folder / "log")
        _run(programs / "pg_ctl", "-D", data, "-w", "-t", "30", "-l", log, "-o", options, "start")
        try:
            yield Postgres(port)
        finally:
            _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(program: Path, *arguments: str) -> None:
    prefix = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    with tempfile.TemporaryFile("w+") as output:  # pg_ctl's server keeps a pipe open for ever
        command = [*prefix, str(program), *arguments]
        done = subprocess.run(command, cwd="/", stdout=output, stderr=output, timeout=_TIMEOUT_S, check=False)
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{program.name} failed: {output.read()[-2000:]}")
