"""Supervision with real, tiny children."""

import asyncio
import io
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local.errors import LocalError
from deploy.local.logs import LogStream
from deploy.local.process import ProcessSpec
from deploy.local.supervisor import RestartPolicy, Supervisor
from schemas.reasons import Reason

OBEYS = (
    "import signal,sys,time\nsignal.signal(15, lambda *_: (note('drained'), sys.exit(0)))\nnote('up')\ntime.sleep(60)"
)
IGNORES = "import signal,time\nsignal.signal(15, signal.SIG_IGN)\nnote('up')\ntime.sleep(60)"
NOTE = "import os\ndef note(what):\n with open({journal!r}, 'a') as f: f.write(f'{name} {{what}} {{os.getpid()}}\\n')\n"


class House:
    """A supervisor with a journal that the children write."""

    def __init__(self, folder: Path) -> None:
        self.journal = folder / "journal"
        self.delays: list[float] = []
        self.logs = LogStream(Console(file=io.StringIO()), folder / "logs")
        self.supervisor = Supervisor(
            self.logs, policy=RestartPolicy(first_s=1.0, longest_s=4.0, forgiven_after_s=1000.0), sleep=self._sleep
        )

    async def _sleep(self, delay_s: float) -> None:
        self.delays.append(delay_s)

    def spec(self, name: str, code: str, stage: int = 0, drain_s: float = 5.0, *, ready: bool = True) -> ProcessSpec:
        async def is_ready() -> bool:
            return ready and any(row[:2] == [name, "up"] for row in self.rows())

        text = NOTE.format(journal=str(self.journal), name=name) + code
        return ProcessSpec(name, (sys.executable, "-S", "-c", text), is_ready, drain_stage=stage, drain_s=drain_s)

    def rows(self) -> list[list[str]]:
        return [line.split() for line in self.journal.read_text().splitlines()] if self.journal.exists() else []


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def until(predicate: Callable[[], bool], deadline_s: float = 10.0) -> None:
    async with asyncio.timeout(deadline_s):
        while not predicate():
            await asyncio.sleep(0.02)


async def ended(house: House, then: Awaitable[None] | None = None) -> None:
    if then is not None:
        await then
    await house.supervisor.drain()
    house.logs.close()


async def test_drains_stage_by_stage(house: House) -> None:
    specs = [house.spec("kafka", OBEYS, 2), house.spec("sinks", OBEYS, 1), house.spec("api", OBEYS, 0)]
    await house.supervisor.start(specs, 10.0)
    await ended(house)
    assert [row[0] for row in house.rows() if row[1] == "drained"] == ["api", "sinks", "kafka"]


async def test_kills_what_does_not_drain_and_goes_on_with_the_next_stage(house: House) -> None:
    await house.supervisor.start([house.spec("stuck", IGNORES, 0, 0.3), house.spec("sinks", OBEYS, 1)], 10.0)
    began = time.monotonic()
    await ended(house)
    assert 0.3 <= time.monotonic() - began < 5.0
    assert [row[0] for row in house.rows() if row[1] == "drained"] == ["sinks"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(next(row[2] for row in house.rows() if row[0] == "stuck")), 0)


async def test_restarts_a_crashing_child_with_growing_bounded_waits(house: House) -> None:
    spec = house.spec("weak", "note('up')\nraise SystemExit(3)", ready=False)
    start = asyncio.create_task(house.supervisor.start([spec], 30.0))
    await until(lambda: len(house.delays) >= 5)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await ended(house)
    assert house.delays[:5] == [1.0, 2.0, 4.0, 4.0, 4.0]


async def test_reaps_a_child_before_its_successor_starts(house: House) -> None:
    watch = "import subprocess,time\n"
    code = (
        f"{watch}before = [l.split()[2] for l in open(JOURNAL)] if os.path.exists(JOURNAL) else []\n"
        "note('overlap' if any(os.path.exists('/proc/' + p) for p in before) else 'up')\ntime.sleep(60)"
    )
    spec = house.spec("one", f"JOURNAL = {str(house.journal)!r}\n" + code)
    await house.supervisor.start([spec], 10.0)
    for count in (1, 2, 3):
        await until(lambda count=count: len(house.rows()) == count)  # type: ignore[misc]
        os.kill(int(house.rows()[-1][2]), signal.SIGKILL)
    await until(lambda: len(house.rows()) == 4)
    await ended(house)
    assert [row[1] for row in house.rows()] == ["up"] * 4


async def test_ends_grandchildren_with_a_crashed_child(house: House) -> None:
    code = (
        "import subprocess,sys,time\n"
        "c = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(house.journal)!r} + '.grandchild', 'w').write(str(c.pid))\nnote('up')\ntime.sleep(60)"
    )
    await house.supervisor.start([house.spec("parent", code)], 10.0)
    grandchild = int(house.journal.with_name("journal.grandchild").read_text())
    os.kill(int(house.rows()[0][2]), signal.SIGKILL)
    stat = Path(f"/proc/{grandchild}/stat")
    await until(lambda: not stat.exists() or " Z " in stat.read_text())
    await ended(house)


async def test_does_not_restart_a_configuration_error(house: House) -> None:
    spec = house.spec("wrong", "print('HOOKBERG_X is unknown')\nraise SystemExit(78)")
    with pytest.raises(LocalError, match="HOOKBERG_X is unknown") as failure:
        await house.supervisor.start([spec], 10.0)
    await ended(house)
    assert failure.value.reason is Reason.PROCESS_FAILED
    assert house.delays == []


async def test_says_when_an_executable_is_missing(house: House, tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(LocalError, match="gone cannot be run"):
        await house.supervisor.start([ProcessSpec("gone", (str(tmp_path / "no"),), never)], 10.0)
    await ended(house)


async def test_quotes_the_log_of_a_child_that_is_not_ready_in_time(house: House) -> None:
    spec = house.spec("slow", "print('still loading', flush=True)\nimport time; time.sleep(60)", ready=False)
    with pytest.raises(LocalError, match=r"slow was not ready within 1 s(.|\n)*still loading"):
        await house.supervisor.start([spec], 1.0)
    await ended(house)


def test_waits_double_up_to_a_bound() -> None:
    policy = RestartPolicy(first_s=0.5, longest_s=30.0)
    assert [policy.delay_s(n) for n in (1, 2, 3, 7, 1000)] == [0.5, 1.0, 2.0, 30.0, 30.0]
