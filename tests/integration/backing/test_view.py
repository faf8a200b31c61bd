"""The cached view over real databases: how fast a change is seen, and what happens when PostgreSQL goes away."""

import asyncio
import os
import pwd
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.backing.registry.tables import SOURCE_SECRETS, SOURCES, STREAMS
from schemas.backing.registry.view import CachedView
from schemas.definitions.auth import Auth
from schemas.definitions.key import digest
from schemas.definitions.source import SourceDefinition
from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import EMPTY, Snapshot
from schemas.errors import ConfigurationError, Refused
from schemas.reasons import Reason
from tests.house import postgres as house
from tests.house.polling import free_port

KEY = bytes(range(32))
POLL_S = 0.25
N = 1_000


class RealClock:
    """Implements schemas.ports.Clock."""

    def time_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


class Server:
    """A PostgreSQL of one test, which may stop it and start it again."""

    def __init__(self, folder: Path) -> None:
        self._programs = house.binaries()
        self._folder, self._port = folder, free_port()
        if os.getuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
        made = ("-A", "trust", "-U", "test", "--no-sync", "-E", "UTF8", "--locale=C")
        house._run(self._programs / "initdb", "-D", f"{folder}/data", *made)
        self.url = f"postgresql+psycopg://test@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        options = f"-p {self._port} -k {self._folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._ctl("-w", "-t", "30", "-l", f"{self._folder}/log", "-o", options, "start")

    def stop(self) -> None:
        self._ctl("-m", "immediate", "-w", "stop")

    def _ctl(self, *arguments: str) -> None:
        house._run(self._programs / "pg_ctl", "-D", f"{self._folder}/data", *arguments)


@pytest.fixture
def server() -> Iterator[Server]:
    try:
        house.binaries()
    except house.PostgresMissingError as exc:
        pytest.skip(str(exc))
    folder = Path(tempfile.mkdtemp(prefix="hookberg-pg-"))  # tmp_path's parents are closed to user postgres
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def opened(url: str) -> Registry:
    registry = Registry(url, vault=Vault(KEY), clock=RealClock())
    registry.migrate()
    registry.tenants.create("acme", actor=SYSTEM)
    return registry


@asynccontextmanager
async def viewing(registry: Registry) -> AsyncIterator[CachedView]:
    view = CachedView(registry, poll_s=POLL_S, clock=RealClock())
    await view.start()
    try:
        yield view
    finally:
        await view.stop()
        registry.close()


async def until(predicate: Callable[[], bool], deadline_s: float) -> float:
    began = time.monotonic()
    while not predicate():
        assert time.monotonic() - began < deadline_s, "not met in time"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


def slack(registry: Registry, name: str = "slack") -> str:
    definition = SourceDefinition(platform="slack", name=name, auth=Auth(type="url"))
    return registry.sources.create("acme", definition, partitioning="source", partitions=4, actor=SYSTEM).id


async def test_a_revoked_url_is_gone_within_the_polling_time(tmp_path: Path) -> None:
    registry = opened(f"sqlite:///{tmp_path}/r.db")
    source = slack(registry)
    url_id, token = registry.sources.add_url("acme", source, actor=SYSTEM)
    async with viewing(registry) as view:
        heard: list[Snapshot] = []
        view.listen(heard.append)
        assert digest(token) in view.current().by_url
        registry.sources.revoke_url("acme", source, url_id, actor=SYSTEM)
        took = await until(lambda: digest(token) not in view.current().by_url, 1.0)
        print(f"revoked URL gone after {took * 1000:.0f} ms (poll {POLL_S * 1000:.0f} ms)")
        assert [snapshot.revision for snapshot in heard] == [registry.revision()]


async def test_a_refresh_sees_what_was_written_before_it_and_callers_share_a_query(tmp_path: Path) -> None:
    registry = opened(f"sqlite:///{tmp_path}/r.db")
    asked = 0
    real = registry.revision

    def counted() -> int:
        nonlocal asked
        asked += 1
        return real()

    registry.revision = counted  # type: ignore[method-assign]
    view = CachedView(registry, poll_s=1, clock=RealClock())
    await view.start()
    source = slack(registry)
    before = asked
    found = await asyncio.gather(*(view.refresh() for _ in range(50)))
    assert all(source in snapshot.sources for snapshot in found)
    assert asked - before <= 2
    await view.stop()
    registry.close()


async def test_the_view_serves_on_while_postgres_is_away_and_comes_back(server: Server) -> None:
    registry = opened(server.url)
    source = slack(registry)
    async with viewing(registry) as view:
        await asyncio.to_thread(server.stop)
        with pytest.raises(Refused) as caught:
            await asyncio.to_thread(registry.revision)
        assert caught.value.reason is Reason.REGISTRY_AWAY
        await until(lambda: view.age_s() > 1.5, 10)
        assert source in view.current().sources
        assert source in (await view.refresh()).sources
        await asyncio.to_thread(server.start)
        await until(lambda: view.age_s() < 0.5, 10)
        other = await asyncio.to_thread(slack, registry, "second")
        await until(lambda: other in view.current().sources, 2)


async def test_a_process_starts_while_the_database_is_away(server: Server) -> None:
    registry = opened(server.url)
    registry.close()
    await asyncio.to_thread(server.stop)
    async with viewing(registry) as view:
        assert view.current() is EMPTY
        assert view.age_s() == float("inf")
        await asyncio.to_thread(server.start)
        await until(lambda: view.current() is not EMPTY, 10)


async def test_a_wrong_vault_key_ends_the_start(tmp_path: Path) -> None:
    registry = opened(f"sqlite:///{tmp_path}/r.db")
    registry.sources.add_secret("acme", slack(registry), b"secret", actor=SYSTEM)
    registry.close()
    other = Registry(f"sqlite:///{tmp_path}/r.db", vault=Vault(bytes(32)), clock=RealClock())
    with pytest.raises(ConfigurationError, match="vault key"):
        await CachedView(other, poll_s=POLL_S, clock=RealClock()).start()
    other.close()


def fill(registry: Registry) -> None:
    """Make N sources, secrets and streams: one of each through the repositories, the others as copies of its rows."""
    source = slack(registry, "s0")
    registry.sources.add_secret("acme", source, b"secret", actor=SYSTEM)
    wire = {"name": "t0", "topics": ["acme.event.slack"], "targetTable": "t0"}
    registry.streams.create("acme", StreamDefinition.model_validate(wire), actor=SYSTEM)
    with registry._database.write() as connection:
        first = {table: dict(connection.execute(select(table)).mappings().one()) for table in (SOURCES, STREAMS)}
        for number in range(1, N):
            key = f"{number:036}"
            connection.execute(insert(SOURCES).values(**{**first[SOURCES], "id": key, "name": f"s{number}"}))
            connection.execute(
                insert(SOURCE_SECRETS).values(
                    id=key, source_id=key, ciphertext=Vault(KEY).encrypt(b"secret", key), created_at_ms=0
                )
            )
            named = {"id": key, "name": f"t{number}", "table_name": f"t{number}"}
            connection.execute(insert(STREAMS).values(**{**first[STREAMS], **named}))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_thousand_sources_and_streams_load(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path}/r.db" if kind == "sqlite" else request.getfixturevalue("postgres").fresh_database()
    registry = opened(url)
    fill(registry)
    took = []
    for _ in range(2):
        wall, cpu = time.perf_counter(), time.process_time()
        snapshot = registry.load()
        took.append(f"{(time.perf_counter() - wall) * 1000:.0f} ms ({(time.process_time() - cpu) * 1000:.0f} ms CPU)")
    print(f"{kind}: {N} sources, secrets and streams: first load {took[0]}, again {took[1]}; load {os.getloadavg()[0]}")
    assert (len(snapshot.sources), len(snapshot.streams)) == (N, N)
    assert len(snapshot.by_platform["acme", "slack"]) == N
    registry.close()
