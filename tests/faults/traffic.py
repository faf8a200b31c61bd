"""Constant posting as two vendors do it: until the answer is a 2xx, with repeats, batches and invalid events.

Lives here: what is sent, what was answered, and what may become of it. One seed makes the same traffic again.
"""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from tests.faults.history import content
from tests.system.client import Caller, Reply, eventually
from tests.system.github import Delivery

SECRET = "a secret for the fault run"
ORDERS, GITHUB = "orders", "github"
PLATFORMS = (GITHUB, ORDERS)
RATE_PER_S = 50.0
POSTERS = 8
DUPLICATES, INVALID, DEPENDS, UNREADABLE, UNPINNED = 0.2, 0.06, 0.06, 0.01, 0.1
ANOTHER, WRAPPED = 0.03, 0.02
"""Of another content under a known id; of deliveries whose content type nobody reads until a source says how."""
UNKNOWN_TYPE = "text/x-unknown"
RETRY_S = 0.2
ANSWER_S = 300.0
MEMORY = 200
MADE, NOTE = "order.made", "note.added"
SCHEMAS = {
    GITHUB: ("number", ({"type": "integer"}, {"type": ["integer", "null"]})),
    ORDERS: ("amount", ({"type": "integer"}, {"type": ["integer", "null"]})),
}
"""The member that decides by platform, and its two versions: null meets the second only."""


def schema(platform: str, version: int) -> dict[str, Any]:
    """Return version 1 or 2 of a platform's schema."""
    member, versions = SCHEMAS[platform]
    return {"type": "object", "required": [member], "properties": {member: versions[version - 1]}}


def meets(pin: str, value: Any) -> bool | None:
    """Tell whether a value meets `platform@version`; None when that is no schema of ours."""
    platform, _, version = pin.partition("@")
    if platform not in SCHEMAS or version not in {"1", "2"} or not isinstance(value, dict):
        return None
    found = value.get(SCHEMAS[platform][0], "absent")
    return isinstance(found, int) or (version == "2" and found is None)


def mendable(platform: str, value: Any) -> bool:
    """Tell whether a value can be clean when the pins name version 2 and what has no pin is allowed."""
    unpinned = isinstance(value, dict) and value.get("event") == NOTE
    return unpinned or bool(meets(f"{platform}@2", value))


@dataclass(frozen=True, slots=True)
class Post:
    """One request to make: platform, headers, body, and (vendor's id, content, kind) of each event in it.

    `wrapped`: nobody can read it but by a setting of its source.
    """

    platform: str
    headers: dict[str, str]
    body: bytes
    events: tuple[tuple[str, str, str], ...]
    wrapped: bool = False


@dataclass
class Ledger:
    """What the sender knows afterwards; `acked`: contents by (platform, vendor's id), each with its kind."""

    delivery_ids: set[str] = field(default_factory=set)
    acked: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    plain: set[tuple[str, str, str]] = field(default_factory=set)
    last_clean: dict[str, str] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    posts: int = 0

    @property
    def wrapped(self) -> set[tuple[str, str, str]]:
        """Return the contents that came in deliveries only which nobody can read but by a setting."""
        return {(*key, each) for key, contents in self.acked.items() for each in contents} - self.plain


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


def _value(rng: random.Random, valid: int) -> object:
    drawn = rng.random()
    return "none" if drawn < INVALID else None if drawn < INVALID + DEPENDS else valid


def kind_of(platform: str, item: dict[str, Any]) -> str:
    """Return what may become of an event (rules.py)."""
    if item.get("event") == NOTE:
        return "unpinned"
    if meets(f"{platform}@1", item):
        return "valid"
    return "depends" if meets(f"{platform}@2", item) else "invalid"


def _github(rng: random.Random, known: list[Delivery], n: int) -> Post:
    if known and rng.random() < DUPLICATES:
        delivery = rng.choice(known)
    else:
        identity = f"d-{n}-{rng.getrandbits(48):012x}"
        if known and rng.random() < ANOTHER:
            identity = rng.choice(known).delivery_id
        value = {"id": identity, "action": "opened", "number": _value(rng, n), "text": "é" * rng.randrange(40)}
        delivery = Delivery("issues", json.dumps(value).encode(), identity)
        known.append(delivery)
        del known[:-MEMORY]
    value = json.loads(delivery.body)
    events = ((delivery.delivery_id, content(value), kind_of(GITHUB, value)),)
    return Post(GITHUB, delivery.headers(SECRET), delivery.body, events)


def _orders(rng: random.Random, known: list[dict[str, Any]], n: int) -> Post:
    items: list[dict[str, Any]] = []
    for i in range(rng.randrange(1, 5)):
        if items and rng.random() < DUPLICATES / 2:
            items.append(rng.choice(items))
        elif known and rng.random() < DUPLICATES:
            items.append(rng.choice(known))
        else:
            event = NOTE if rng.random() < UNPINNED else MADE
            amount = _value(rng, rng.randrange(1 << 40))
            items.append({"id": f"o-{n}-{i}-{rng.getrandbits(32):08x}", "event": event, "amount": amount})
            if known and rng.random() < ANOTHER:
                items[-1] |= {"id": rng.choice(known)["id"]}
            known.append(items[-1])
            del known[:-MEMORY]
    wrapped = len(items) > 1 and rng.random() < WRAPPED
    events = tuple((str(item["id"]), content(item), kind_of(ORDERS, item)) for item in items)
    headers = {"Content-Type": UNKNOWN_TYPE} if wrapped else {}
    return Post(ORDERS, headers, json.dumps(items).encode(), events, wrapped)


class Sender:
    """Posts `traffic` at a constant rate from a few threads until stopped; a post is repeated until it is a 2xx."""

    def __init__(self, caller: Caller, seed: int, rate_per_s: float = RATE_PER_S) -> None:
        self.ledger = Ledger()
        self._caller, self._unsigned = caller, Caller(caller.server, None, caller.tenant)
        self._posts = traffic(random.Random(seed))
        self._rate = rate_per_s
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._due, self._taken, self._under_way = time.monotonic(), 0, 0
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
        self._flowing.set()
        for thread in self._threads:
            thread.join(ANSWER_S + 10)
            assert not thread.is_alive(), "a post was never answered with a 2xx"
        assert not self._errors, self._errors

    def pause(self) -> None:
        """Take up no new post, and wait until those under way are answered."""
        self._flowing.clear()
        eventually("every post under way is answered", lambda: self._under_way == 0, ANSWER_S)

    def resume(self) -> None:
        """Go on."""
        self._due = time.monotonic()
        self._flowing.set()

    def wait_posts(self, more: int) -> None:
        """Wait until `more` further posts were taken up."""
        until = self._taken + more
        eventually(f"{more} more posts", lambda: self._taken >= until, ANSWER_S)

    def newest_clean(self, platform: str) -> str:
        """Return the id of the platform's valid event that was acknowledged last."""
        with self._lock:
            return self.ledger.last_clean.get(platform, "")

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._flowing.wait()
                with self._lock:
                    if not self._flowing.is_set() or self._stop.is_set():
                        continue
                    post = next(self._posts)
                    self._due = max(self._due + 1 / self._rate, time.monotonic() - 1.0)
                    due = self._due
                    self._taken += 1
                    self._under_way += 1
                try:
                    self._stop.wait(max(0.0, due - time.monotonic()))
                    self._deliver(post)
                finally:
                    with self._lock:
                        self._under_way -= 1
        except BaseException as exc:  # noqa: BLE001 handed to the test's thread by stop()
            self._errors.append(exc)

    def _deliver(self, post: Post) -> None:
        waiting = threading.Event()
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            reply = self._once(post)
            if reply is not None and reply.status < 300:
                self._note(post, str(reply.json()["deliveryId"]))
                return
            waiting.wait(RETRY_S)
        raise AssertionError(f"not answered 2xx within {ANSWER_S:.0f} s: {self.ledger.refused}")

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
            for identity, each, kind in post.events:
                self.ledger.acked.setdefault((post.platform, identity), {})[each] = kind
                if not post.wrapped:
                    self.ledger.plain.add((post.platform, identity, each))
                    if kind == "valid":
                        self.ledger.last_clean[post.platform] = identity
