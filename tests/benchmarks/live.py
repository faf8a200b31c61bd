"""Topics that come while the stage works: how soon a new one is decided, how long the others stand still meanwhile.

Lives here: the measurement, through the public doors and a `read_committed` reader of clean topics. Load: restart.py.
"""

import time

from tests.benchmarks.measure import Figure, github_source
from tests.benchmarks.restart import RATE_PER_S, events
from tests.benchmarks.stage_ground import Follower
from tests.house.polling import wait_until
from tests.system.client import Server

ADDED = 5
DEADLINE_S = 60.0


def live(server: Server) -> list[Figure]:
    """Make five sources, one after another, while another gets events; report how long each waited, and that one."""
    caller = github_source(server, "live")
    other = f"{caller.tenant}.event.github"
    reader = Follower(server.bootstrap, [other])
    gaps, waits, seen = [0.0], [], [time.monotonic()]

    def read(wait_s: float) -> int:
        found = 0
        for _ in reader.read(wait_s):
            now = time.monotonic()
            gaps.append(now - seen[-1])
            seen.append(now)
            found += 1
        return found

    with events(caller):
        wait_until(lambda: read(0.05) > 0, DEADLINE_S, every_s=0.0, what="the first clean event")
        gaps.clear()
        for number in range(ADDED):
            source = {"platform": f"late{number}", "auth": {"type": "none"}}
            made = time.monotonic()
            caller.call("POST", "/api/v1/sources", source, expect=201)
            new = Follower(server.bootstrap, [f"{caller.tenant}.event.late{number}"])
            assert caller.post_event(f"late{number}", b'{"id": 1}').status < 300

            def arrived(new: Follower = new) -> bool:
                read(0.02)
                return any(True for _ in new.read(0.0))

            wait_until(arrived, DEADLINE_S, every_s=0.0, what=f"the clean event of source {number}")
            waits.append(time.monotonic() - made)
            new.close()
            quiet = time.monotonic() + 3
            while time.monotonic() < quiet:
                read(0.05)
    reader.close()
    told = ", ".join(f"{wait:.1f}" for wait in waits)
    how = f"POST of the source to its first clean event at a reader, {ADDED} in turn ({told} s)"
    still = f"longest silence of another source's clean events meanwhile, {RATE_PER_S} events/s"
    return [
        Figure("live topic: decided", f"at most {max(waits):.1f} s", how),
        Figure("others", f"{max(gaps):.2f} s", still),
    ]
