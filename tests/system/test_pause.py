"""A paused source, black box: what comes is accepted, kept and told; resumed, it lands once and in order.

The tenant of the second test stays paused with a backlog: the session's last audit proves its sums, what is pending
told apart.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.streams.stack import read_to_end
from tests.system import lake
from tests.system.client import Caller, Server, eventually

pytestmark = pytest.mark.system

SOURCE = {"platform": "orders", "name": "shop", "auth": {"type": "none"}, "dedupe": {"path": "/id"}}
OBEYED_S = 2.0
"""What is not paused is decided within a fraction of it."""
MERGE = {"Content-Type": "application/merge-patch+json"}


def post(caller: Caller, number: int) -> str:
    """Post one event; return its receipt. A 2xx is insisted on, paused or not."""
    answer = caller.post_event("orders", json.dumps({"id": str(number)}).encode())
    assert answer.status == 200
    return str(answer.json()["receipt"])


def pause(caller: Caller, *, paused: bool) -> None:
    assert caller.send("PATCH", "/api/v1/sources/shop", {"paused": paused}, MERGE).status == 200


def waiting(caller: Caller) -> int | None:
    found: int | None = caller.call("GET", "/api/v1/sources/shop")["stats"]["waiting"]
    return found


def halted(caller: Caller, first: int) -> Callable[[], bool]:
    """Return what tells whether the stage has obeyed: it posts, from number `first` on, until one is not decided.

    By receipts: the offsets that `waiting` is told from are some seconds behind what is decided.
    """
    numbers, last = itertools.count(first), [("", 0.0)]

    def is_so() -> bool:
        receipt, since = last[0]
        if not receipt or caller.call("GET", receipt)["state"] != "pending":
            last[0] = post(caller, next(numbers)), time.monotonic()
            return False
        return time.monotonic() - since > OBEYED_S

    return is_so


def clean(caller: Caller) -> list[int]:
    """Return the numbers in the clean topic, in its order."""
    name = f"{caller.tenant}.event.orders"
    records = sorted(read_to_end(caller.server.bootstrap, [name], 4), key=lambda one: (one.partition(), one.offset()))
    return [int(json.loads(one.value() or b"")["payload"]["id"]) for one in records]


def standing(caller: Caller, posted: list[str]) -> Callable[[], bool]:
    """Return what tells whether nothing was decided for a while, though more than 30 were posted meanwhile."""
    at = [(-1, 0, 0.0)]

    def is_so() -> bool:
        decided, (before, then, since) = len(clean(caller)), at[0]
        if decided != before:
            at[0] = decided, len(posted), time.monotonic()
            return False
        return len(posted) > then + 30 and time.monotonic() - since > OBEYED_S

    return is_so


def test_what_comes_while_paused_under_load_lands_once_and_in_order(server: Server) -> None:
    caller = server.new_tenant("pause")
    caller.call("POST", "/api/v1/sources", SOURCE, expect=201)
    caller.new_stream("orders", "orders", "orders")
    over, posted = threading.Event(), list[str]()

    def load() -> None:
        while not over.is_set():
            posted.append(post(caller, len(posted)))

    sender = threading.Thread(target=load)
    sender.start()
    try:
        eventually("some are clean", lambda: len(clean(caller)) > 5)
        pause(caller, paused=True)
        eventually("the stage obeys", standing(caller, posted))
    finally:
        over.set()
        sender.join()
    eventually("all that waits is told", lambda: waiting(caller) == len(posted) - len(clean(caller)))
    before = clean(caller)
    assert before == list(range(len(before)))
    assert len(before) < len(posted)
    found: dict[str, Any] = caller.call("GET", posted[-1])
    assert (found["state"], found["items"], found["accepted"]["kept"]) == ("pending", [], True)
    assert found["decided"]["lag"]["desired"] == "paused", "it says why it waits"
    assert clean(caller) == before, "nothing is decided meanwhile"
    pause(caller, paused=False)
    eventually("every one is clean", lambda: len(clean(caller)) >= len(posted))
    assert clean(caller) == list(range(len(posted))), "once, and in order"
    eventually("every one is a row", lambda: lake.count(server.data_dir, str(caller.tenant), "orders") == len(posted))
    assert waiting(caller) is None
    assert caller.call("GET", posted[-1])["state"] != "pending"


def test_a_redrive_waits_behind_a_pause_and_another_source_cannot_join(server: Server) -> None:
    caller = server.new_tenant("behind")
    caller.call("POST", "/api/v1/sources", {**SOURCE, "unpinned": "quarantine"}, expect=201)
    post(caller, 1)
    rows = "/api/v1/quarantine?reason=unpinned"
    first = eventually("it is in quarantine", lambda: caller.call("GET", rows)["items"] or None)[0]["eventId"]
    pause(caller, paused=True)
    eventually("the stage obeys", halted(caller, 2))
    refused = caller.send("POST", "/api/v1/sources", {**SOURCE, "name": "second"})
    assert (refused.status, refused.reason) == (409, "topic_shared")
    job = f"/api/v1/jobs/{caller.call('POST', '/api/v1/quarantine/redrive', {}, expect=202)['id']}"
    eventually("the job is over", lambda: caller.call("GET", job)["state"] == "succeeded")
    written = caller.call("GET", job)["result"]["records"]
    assert written >= 1
    eventually("the redriven record waits", lambda: waiting(caller) == 1 + written)
    assert first in [row["eventId"] for row in caller.call("GET", rows)["items"]]
