"""The supervisor with real processes: nothing is refused while workers die or are replaced."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from ingress.workers import Workers, bind
from tests.integration.ingress.door import until

ROOT = Path(__file__).parents[3]
HEADERS = {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_a"}


def command(listening: int, control: int) -> list[str]:
    return [sys.executable, "-m", "tests.integration.ingress.worker", str(listening), str(control)]


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Workers, str]]:
    monkeypatch.chdir(ROOT)
    sock = bind("127.0.0.1", 0)
    workers = Workers(command, 2, sock)
    run = asyncio.create_task(workers.run())
    await until(lambda: len(workers.pids) == 2, 30)
    yield workers, f"http://127.0.0.1:{sock.getsockname()[1]}/api/v1/webhooks/shop"
    workers.stop()
    assert await run == 0
    sock.close()


async def test_a_rolling_restart_refuses_nobody(running: tuple[Workers, str]) -> None:
    workers, url = running
    before, statuses, done = workers.pids, [], asyncio.Event()

    async def post(connector: aiohttp.TCPConnector) -> None:
        async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:
            while not done.is_set():
                async with session.post(url, data=b"{}") as response:
                    statuses.append(response.status)
                await asyncio.sleep(0.002)

    posting = [asyncio.create_task(post(aiohttp.TCPConnector(force_close=True))) for _ in range(3)]
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: not set(workers.pids) & set(before), 60)
    count = len(statuses)
    await until(lambda: len(statuses) > count + 50)
    done.set()
    await asyncio.gather(*posting)
    assert set(statuses) == {200}


async def test_a_dead_worker_is_started_again(running: tuple[Workers, str]) -> None:
    workers, url = running
    victim = workers.pids[0]
    os.kill(victim, signal.SIGKILL)
    await until(lambda: victim not in workers.pids, 30)
    async with aiohttp.ClientSession(headers=HEADERS) as session, session.post(url, data=b"{}") as response:
        assert response.status == 200


async def test_stops_workers_that_were_just_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    sock = bind("127.0.0.1", 0)
    asked: list[int] = []

    def noted(listening: int, control: int) -> list[str]:
        asked.append(control)
        return command(listening, control)

    workers = Workers(noted, 2, sock)
    run = asyncio.create_task(workers.run())
    await until(lambda: len(asked) == 2, 30)
    workers.stop()
    assert await asyncio.wait_for(run, 30) == 0
    sock.close()


async def test_a_worker_that_cannot_be_configured_ends_the_whole() -> None:
    sock = bind("127.0.0.1", 0)
    workers = Workers(lambda _a, _b: [sys.executable, "-c", "raise SystemExit(78)"], 1, sock)
    assert await asyncio.wait_for(workers.run(), 30) == 78
    sock.close()


async def test_a_worker_that_ends_slowly_is_asked_for_its_own_exit_code() -> None:
    ends = "import os, sys; os.close(int(sys.argv[1])); sum(range(20_000_000)); raise SystemExit(78)"
    sock = bind("127.0.0.1", 0)
    workers = Workers(lambda _listening, control: [sys.executable, "-c", ends, str(control)], 1, sock)
    assert await asyncio.wait_for(workers.run(), 60) == 78
    sock.close()


def test_a_taken_port_is_an_error() -> None:
    sock = bind("127.0.0.1", 0)
    with pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", sock.getsockname()[1])
    sock.close()


async def test_a_worker_that_dies_while_it_is_replaced_has_one_successor(running: tuple[Workers, str]) -> None:
    workers, _ = running
    before = workers.pids
    os.kill(before[0], signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGHUP)  # its slot is filled twice: by the keeper and by the roll

    def started() -> set[int]:
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        return {int(pid) for pid in children if b"ingress.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()}

    await until(lambda: not set(workers.pids) & set(before), 60)
    await until(lambda: started() == set(workers.pids), 60)
