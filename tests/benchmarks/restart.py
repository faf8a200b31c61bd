"""How long a killed writer is away: from kill -9 to the first commit that its successor makes.

Lives here: the measurement only; the supervisor of `hookberg up` starts the successor, as it does for users.
"""

import os
import signal
import statistics
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.measure import Figure, github_requests, github_source
from tests.benchmarks.peers.used import rows_in
from tests.house.polling import wait_until
from tests.system.client import Caller, Server

RATE_PER_S = 50
KILLS = 3
BACK_S = 60.0


def restart(server: Server) -> list[Figure]:
    """Kill the writers three times while events come in; report the waits."""
    caller = github_source(server, "killed")
    caller.new_stream("pushes", "github", "pushes", freshnessSeconds=1)
    look = rows_in(server.data_dir / "catalog.db", str(caller.tenant), "pushes")
    waits = []
    with events(caller):
        for _ in range(KILLS):
            before = look()
            wait_until(lambda: look() > before, BACK_S, what="rows before the kill")  # noqa: B023 used at once
            os.kill(_pid(server), signal.SIGKILL)
            killed, rows = time.monotonic(), look()
            wait_until(lambda: look() > rows, BACK_S, every_s=0.02, what="rows after the kill")  # noqa: B023 used at once
            waits.append(time.monotonic() - killed)
    told = ", ".join(f"{wait:.1f}" for wait in waits)
    how = f"kill -9 of the writers to the next commit, {KILLS} times ({told} s), {RATE_PER_S} events/s, freshness 1 s"
    return [Figure("writer back after kill -9", f"{statistics.median(waits):.1f} s, at most {max(waits):.1f} s", how)]


def _pid(server: Server) -> int:
    return int(server.state["processes"]["sinks"]["pid"])


@contextmanager
def events(caller: Caller) -> Iterator[None]:
    """Post events at a constant rate meanwhile."""
    stop = threading.Event()
    requests = github_requests(caller, RATE_PER_S * 200)

    def post() -> None:
        for one in requests:
            if stop.wait(1 / RATE_PER_S):
                return
            head, _, body = one.wire.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:])
            url = caller.server.ingest + lines[0].split(" ")[1]
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
                answer.read()

    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
