"""Constant posting as two vendors do it: until the answer is a 2xx, with repeats, batches and invalid events.

Lives here: what is sent and what was answered. One seed makes the same traffic again.
"""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from tests.system.client import Caller, Reply, eventually
from tests.system.github import Delivery

SECRET = "a secret for the fault run"
ORDERS, GITHUB = "orders", "github"
RATE_PER_S = 50.0
POSTERS = 8
DUPLICATES, INVALID, UNREADABLE = 0.2, 0.08, 0.01
RETRY_S = 0.2
MEMORY = 200


@dataclass(frozen=True, slots=True)
class Post:
    """One request to make: platform, headers, body, and (vendor's id, valid) of each event in it."""

    platform: str
    headers: dict[str, str]
    body: bytes
    events: tuple[tuple[str, bool], ...]


@dataclass
class Ledger:
    """What the sender knows afterwards."""

    delivery_ids: set[str] = field(default_factory=set)
    acked: dict[tuple[str, str], bool] = field(default_factory=dict)
    last_clean: str = ""
    refused: dict[str, int] = field(default_factory=dict)
    posts: int = 0


def traffic(rng: random.Random) -> Iterator[Post]:
    """Yield posts for ever: about half GitHub deliveries, half batches of orders, a fifth of the events repeated."""
    deliveries: list[Delivery] = []
    orders: list[dict[str, Any]] = []
    for n in range(1 << 40):
        if rng.random() < 0.5:
            yield _github(rng, deliveries, n)
        elif rng.random() < UNREADABLE:
            yield Post(ORDERS, {}, b'[{"id":"o-', ())
        else:
            yield _orders(rng, orders, n)


def _github(rng: random.Random, known: list[Delivery], n: int) -> Post:
    if known and rng.random() < DUPLICATES:
        delivery = rng.choice(known)
    else:
        number: object = "none" if rng.random() < INVALID else n
        body = json.dumps({"action": "opened", "number": number, "text": "é" * rng.randrange(40)}).encode()
        delivery = Delivery("issues", body, f"d-{n}-{rng.getrandbits(48):012x}")
        known.append(delivery)
        del known[:-MEMORY]
    valid = isinstance(json.loads(delivery.body)["number"], int)
    return Post(GITHUB, delivery.headers(SECRET), delivery.body, ((delivery.delivery_id, valid),))


def _orders(rng: random.Random, known: list[dict[str, Any]], n: int) -> Post:
    items: list[dict[str, Any]] = []
    for i in range(rng.randrange(1, 5)):
        if items and rng.random() < DUPLICATES / 2:
            items.append(rng.choice(items))
        elif known and rng.random() < DUPLICATES:
            items.append(rng.choice(known))
        else:
            amount: object = "much" if rng.random() < INVALID else rng.randrange(1 << 40)
            items.append({"id": f"o-{n}-{i}-{rng.getrandbits(32):08x}", "event": "order.made", "amount": amount})
            known.append(items[-1])
            del known[:-MEMORY]
    events = tuple((str(item["id"]), isinstance(item["amount"], int)) for item in items)
    return Post(ORDERS, {}, json.dumps(items).encode(), events)


class Sender:
    """Posts `traffic` at a constant rate from a few threads until stopped; a post is repeated until it is a 2xx."""

    def __init__(self, caller: Caller, seed: int) -> None:
        self.ledger = Ledger()
        self._caller, self._unsigned = caller, Caller(caller.server, None, caller.tenant)
        self._posts = traffic(random.Random(seed))
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._began, self._taken = time.monotonic(), 0
        self._errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, name=f"sender-{n}") for n in range(POSTERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End: no new posts; those under way are repeated until they are answered."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a post was never answered with a 2xx"
        assert not self._errors, self._errors

    def wait_posts(self, more: int) -> None:
        """Wait until `more` further posts were taken up."""
        until = self._taken + more
        eventually(f"{more} more posts", lambda: self._taken >= until)

    def newest_clean(self) -> str:
        """Return the id of the valid GitHub event that was acknowledged last."""
        with self._lock:
            return self.ledger.last_clean

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                with self._lock:
                    post = next(self._posts)
                    due = self._began + self._taken / RATE_PER_S
                    self._taken += 1
                self._stop.wait(max(0.0, due - time.monotonic()))
                self._deliver(post)
        except BaseException as exc:  # noqa: BLE001 handed to the test's thread by stop()
            self._errors.append(exc)

    def _deliver(self, post: Post) -> None:
        waiting = threading.Event()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            reply = self._once(post)
            if reply is not None and reply.status < 300:
                self._note(post, str(reply.json()["deliveryId"]))
                return
            waiting.wait(RETRY_S)
        raise AssertionError(f"not answered 2xx within 60 s: {self.ledger.refused}")

    def _once(self, post: Post) -> Reply | None:
        sender = self._unsigned if post.platform == GITHUB else self._caller
        try:
            reply = sender.post_event(post.platform, post.body, post.headers)
        except (OSError, http.client.HTTPException) as exc:
            self._count(type(exc).__name__)
            return None
        assert reply.status < 300 or reply.status in (429, 500, 502, 503), reply
        if reply.status >= 300:
            self._count(f"{reply.status} {reply.reason}")
        return reply

    def _count(self, what: str) -> None:
        with self._lock:
            self.ledger.refused[what] = self.ledger.refused.get(what, 0) + 1

    def _note(self, post: Post, delivery_id: str) -> None:
        with self._lock:
            self.ledger.posts += 1
            self.ledger.delivery_ids.add(delivery_id)
            for identity, valid in post.events:
                self.ledger.acked[post.platform, identity] = valid
                if valid and post.platform == GITHUB:
                    self.ledger.last_clean = identity
