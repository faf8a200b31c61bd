"""Definitions that change at random times while everything runs: pins move, the window grows, the policy turns.

Lives here: what may change and the thread that changes it. The API may be away: a change that fails is let go.
"""

import contextlib
import http.client
import random
import threading
from collections.abc import Iterator

from tests.faults.traffic import GITHUB, ORDERS, PLATFORMS
from tests.system.client import Caller

DAY_S = 86_400
SLOWEST_S = 1.5


def pins(platform: str, version: int) -> dict[str, str]:
    """Return the pins of a source: GitHub's cover all types, of orders the notes have none."""
    return {"*" if platform == GITHUB else "order.*": f"{platform}@{version}"}


def _change(rng: random.Random, platform: str) -> dict[str, object]:
    drawn = rng.random()
    if drawn < 0.6:
        return {"pins": pins(platform, rng.choice((1, 2)))}
    if drawn < 0.8 or platform != ORDERS:
        return {"dedupe": {"windowSeconds": rng.randrange(7, 31) * DAY_S}}
    return {"unpinned": rng.choice(("allow", "quarantine", "drop"))}


@contextlib.contextmanager
def changing(caller: Caller, seed: int) -> Iterator[None]:
    """Change definitions in a thread until the block ends."""
    stop, rng = threading.Event(), random.Random(seed)

    def run() -> None:
        while not stop.wait(rng.uniform(0.1, SLOWEST_S)):
            platform = rng.choice(PLATFORMS)
            with contextlib.suppress(OSError, http.client.HTTPException):
                reply = caller.send(
                    "PATCH", f"/api/v1/sources/{platform}", _change(rng, platform),
                    {"Content-Type": "application/merge-patch+json"},
                )  # fmt: skip
                assert reply.status == 200 or reply.status >= 500, reply

    thread = threading.Thread(target=run, name="definitions")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
