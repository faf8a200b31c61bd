"""One broker for all workers of a test run, and one that stays up between runs (`python -m tests.house`).

Lives here: who uses the broker and when it ends. May not live here: how a broker is run (deploy/local/kafka),
containers (container.py). Order of choice: HOOKBERG_TEST_KAFKA, the kept broker, a container engine, the local broker.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.kafka import Broker, JvmOptions, ensure_runtime
from deploy.local.kafka.config import load_or_create
from deploy.local.kafka.probe import any_broker
from tests.house import container

KEPT = "kept"


def house_dir(name: str) -> Path:
    """Return the folder of a shared broker of this user."""
    return Path(tempfile.gettempdir()) / f"hookberg-house-{os.getuid()}-{name}"


@contextmanager
def shared_broker(environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield bootstrap servers of the run's broker; the last user of the run ends it."""
    env = dict(os.environ if environ is None else environ)
    given = env.get("HOOKBERG_TEST_KAFKA") or kept_bootstrap()
    if given:
        yield given
        return
    run = env.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    folder = house_dir(run)
    bootstrap = _join(folder)
    try:
        yield bootstrap
    finally:
        _leave(folder)


def kept_bootstrap() -> str | None:
    """Return the kept broker's address when it answers."""
    document = _read(house_dir(KEPT))
    bootstrap = str(document.get("bootstrap", ""))
    return bootstrap if bootstrap and any_broker(bootstrap) else None


def keep() -> str:
    """Start the kept broker unless it runs; return its address."""
    folder = house_dir(KEPT)
    with _locked(folder):
        present = kept_bootstrap()
        if present:
            return present
        document = _start(folder)
        _write(folder, document)
        return str(document["bootstrap"])


def end_kept() -> bool:
    """End the kept broker and remove its data; tell whether there was one."""
    folder = house_dir(KEPT)
    if not folder.exists():
        return False
    with _locked(folder):
        _stop(folder, _read(folder))
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _join(folder: Path) -> str:
    with _locked(folder):
        document = _read(folder)
        users = [pid for pid in document.get("users", []) if _alive(pid)]
        if not (document.get("bootstrap") and any_broker(str(document["bootstrap"]))):
            document = _start(folder)
        _write(folder, {**document, "users": [*users, os.getpid()]})
        return str(document["bootstrap"])


def _leave(folder: Path) -> None:
    with _locked(folder):
        document = _read(folder)
        users = [pid for pid in document.get("users", []) if _alive(pid)]
        if os.getpid() in users:
            users.remove(os.getpid())
        _write(folder, {**document, "users": users})
        if not users:
            _stop(folder, document)
            shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path) -> dict[str, Any]:
    if container.engine_answers(os.environ):
        started = container.start_broker()
        return {"bootstrap": started.bootstrap, "container": started.container_id}
    broker = Broker(load_or_create(folder / "kafka", jvm=JvmOptions.small()), ensure_runtime())
    broker.start()
    return {"bootstrap": broker.config.bootstrap}


def _stop(folder: Path, document: Mapping[str, object]) -> None:
    if "container" in document:
        container.remove(str(document["container"]))
    elif (folder / "kafka").exists():
        Broker(load_or_create(folder / "kafka", choose=lambda wanted, _: wanted or 0), ensure_runtime()).kill()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the lock file stands beside it, so the folder can be removed under it."""
    path = folder.with_name(f"{folder.name}.lock")
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        folder.mkdir(mode=0o700, exist_ok=True)
        yield


def _read(folder: Path) -> dict[str, Any]:
    try:
        value = json.loads((folder / "house.json").read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(folder: Path, document: Mapping[str, object]) -> None:
    (folder / "house.json").write_text(json.dumps(document))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
