"""The fault suite's own stack: 1 or 3 Kafka nodes, PostgreSQL behind two proxies, and the processes of Hookberg.

Lives here: what is started with which settings, and its end. Not here: what is done to it (menu.py).
"""

import base64
import contextlib
import os
import secrets
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.kafka import Broker, JvmOptions, ensure_runtime
from deploy.local.kafka.config import load_or_create
from deploy.processes.prepare import migrate
from schemas import settings
from tests.faults import entry, store
from tests.faults.proxy import Proxy
from tests.faults.tables import Lake
from tests.faults.worker import ENTRY, Keeper, Worker
from tests.house.polling import free_port
from tests.house.postgres import PostgresMissingError, binaries, throw_away_postgres
from tests.system.client import Server

DOORS = ("api", "ingress")
NAMES = (*DOORS, "streams", "sinks")
_PORTS = {
    "api": "HOOKBERG_API_PORT",
    "ingress": "HOOKBERG_INGEST_PORT",
    "streams": "HOOKBERG_STREAMS_HEALTH_PORT",
    "sinks": "HOOKBERG_SINKS_HEALTH_PORT",
}
START_S = 240.0
_FOREVER = (("log.flush.offset.checkpoint.interval.ms", "600000"),)


@dataclass
class Stack:
    """Everything that runs. `env` are the settings of every process; `folder` holds all of their data.

    `registry` and `catalog` are the proxies before the databases; None: they are files.
    """

    folder: Path
    broker: Broker
    registry: Proxy | None
    catalog: Proxy | None
    lake: Lake
    env: dict[str, str] = field(repr=False)
    keeper: Keeper
    modules: Mapping[str, str]
    _made: int = 0

    @property
    def bootstrap(self) -> str:
        """Return the bootstrap servers."""
        return self.broker.config.bootstrap

    @property
    def server(self) -> Server:
        """Return the doors as a stranger sees them."""
        doors = (f"http://127.0.0.1:{self.keeper.workers[name].port}" for name in DOORS)
        api, ingest = doors
        return Server(api, ingest, self.folder)

    def new_worker(self, name: str) -> Worker:
        """Make another process of this kind, with a port and a state folder of its own; not started."""
        self._made += 1
        port = free_port()
        env = {**self.env, _PORTS[name]: str(port), "HOOKBERG_STATE_DIR": str(self.folder / f"state-{self._made}")}
        log = self.folder / "logs" / f"{name}-{self._made}.log"
        return Worker(name, env, port, log, module=self.modules.get(name, ENTRY))

    def state_of(self, worker: Worker) -> Path:
        """Return the state folder of a stage."""
        return Path(worker.env["HOOKBERG_STATE_DIR"])

    def move_clock(self, ns: int) -> None:
        """Let the wall clock of all processes be off by `ns`."""
        with (self.folder / entry.CLOCK).open("r+b") as file:
            file.write(entry.OFFSET.pack(ns))

    @contextlib.contextmanager
    def full(self, name: str) -> Iterator[None]:
        """Let a disk be full: `entry.STATE_FULL`, or the table store's `store-full`."""
        flag = self.folder / name
        flag.touch()
        try:
            yield
        finally:
            flag.unlink()

    def tails(self) -> str:
        """Return the ends of all logs."""
        every = [*self.keeper.aside, *self.keeper.workers.values()]
        return "\n".join(f"--- the end of {worker.log.name}\n{worker.tail()}" for worker in every)


STORE_FULL = "store-full"


def has_postgres() -> bool:
    """Tell whether there is a PostgreSQL server to start; without one both databases are SQLite, and never away."""
    try:
        binaries()
    except PostgresMissingError:
        return False
    return True


@contextlib.contextmanager
def running(folder: Path, brokers: int = 1, modules: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Yield a ready stack of 1 or 3 brokers; ends everything. `modules` replace a process's entry point by name."""
    (folder / "logs").mkdir(parents=True)
    config = load_or_create(folder / "kafka", nodes=brokers, jvm=JvmOptions.small(), overrides=_FOREVER)
    broker = Broker(config, ensure_runtime())
    with contextlib.ExitStack() as stack:
        stack.callback(broker.kill)
        broker.start(timeout_s=START_S)
        databases = through = [f"sqlite:///{folder / name}.db" for name in ("registry", "catalog")]
        registry = catalog = None
        if has_postgres():
            postgres = stack.enter_context(throw_away_postgres())
            registry, catalog = (stack.enter_context(Proxy(postgres.port)) for _ in range(2))
            databases = [postgres.fresh_database() for _ in range(2)]
            through = [
                url.replace(f":{postgres.port}/", f":{proxy.port}/")
                for url, proxy in zip(databases, (registry, catalog), strict=True)
            ]
        warehouse = (folder / "warehouse").as_uri()
        env = _env(folder, config.bootstrap, brokers, through, warehouse)
        migrate(settings.load(settings.MigrateSettings, settings.KNOWN, env))
        keeper = stack.enter_context(Keeper())
        made = Stack(
            folder, broker, registry, catalog, Lake(databases[1], warehouse), env, keeper, dict(modules or {})
        )  # fmt: skip
        for name in NAMES:
            keeper.put(made.new_worker(name))
        for worker in keeper.workers.values():
            worker.await_ready()
        yield made


def _env(folder: Path, bootstrap: str, brokers: int, databases: list[str], warehouse: str) -> dict[str, str]:
    (folder / entry.CLOCK).write_bytes(struct.pack("<q", 0))
    (folder / "admin.key").write_text("hbk_" + secrets.token_urlsafe(32))
    (folder / "vault.key").write_text(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    io = f'{{"py-io-impl": "{store.NAME}", "{store.FULL}": "{folder / STORE_FULL}"}}'
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HOOKBERG_")}
    return kept | {
        "FAULTS_DIR": str(folder),
        "PYTHONUNBUFFERED": "1",
        "HOOKBERG_LOG_FORMAT": "console",
        "HOOKBERG_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "HOOKBERG_REPLICATION_FACTOR": str(brokers),
        "HOOKBERG_MIN_INSYNC_REPLICAS": str(max(1, brokers - 1)),
        "HOOKBERG_REGISTRY_URL": databases[0],
        "HOOKBERG_CATALOG_URI": databases[1],
        "HOOKBERG_CATALOG_WAREHOUSE": warehouse,
        "HOOKBERG_CATALOG_PROPERTIES": io,
        "HOOKBERG_VAULT_KEY_FILE": str(folder / "vault.key"),
        "HOOKBERG_ADMIN_KEY_FILE": str(folder / "admin.key"),
        "HOOKBERG_DEFAULT_TENANT": "default",
        "HOOKBERG_OWNER_SESSION_TIMEOUT_S": "6",
        "HOOKBERG_STAGE_SESSION_TIMEOUT_S": "6",
        "HOOKBERG_TRANSACTION_TIMEOUT_S": "6",
        "HOOKBERG_STATS_FLUSH_S": "0.5",
    }
