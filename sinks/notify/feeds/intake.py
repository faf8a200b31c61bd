"""From feeds into the queue: read, match, write events, deliveries and the feed's cursor in one transaction.

Lives here: one bounded round, what is kept when it fails, and how long to wait. Not here: where events come from, which
webhook wants them (match), the transaction (schemas/backing/registry/outbound). A round that was not written is matched
and written again; a process that dies begins at the stored cursors: nothing is lost, nothing is taken in twice.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from schemas import logs
from schemas.definitions.notification import Cursor, Lane, Lease, Matched
from schemas.errors import HookbergError, Refused, Transient
from schemas.ports import Clock
from schemas.reasons import Reason
from sinks.notify.feeds.audience import Audience
from sinks.notify.feeds.fed import Fed, Feed, Read
from sinks.notify.match.receivers import Missing
from sinks.notify.match.tenant import Matcher

MAX_LANES = 2_000
"""In one transaction, but for an event that has more alone."""
QUIET_S = 5.0
"""Positions without a wanted event are written so often: a start reads again at most what came meanwhile."""
AGAIN_S, LONGEST_S = 0.5, 30.0
log = logs.logger(__name__)


class Outbound(Protocol):
    """The queue."""

    def take_in(
        self, held: Lease, taken: Sequence[Matched], cursors: Sequence[Cursor], linger_s: float
    ) -> Mapping[Lane, int]:
        """Write events, deliveries and cursors in one transaction; return when each touched lane has work, in ms."""


class Counts(Protocol):
    """What is counted of feeds (sinks/notify/measures.py)."""

    def took_in(self, feed: str, events: int) -> None:
        """Count events that somebody wanted."""

    def lags(self, feed: str, positions: int) -> None:
        """Tell how many positions are not read."""

    def no_contact(self, role: str) -> None:
        """Count somebody who was to be told and cannot be."""


@dataclass(frozen=True, slots=True)
class Into:
    """Where events go: the queue under a lease; `taken` is told of lanes that have work, from the intake's thread."""

    outbound: Outbound
    lease: Lease
    counts: Counts
    taken: Callable[[Mapping[Lane, int]], None]
    clock: Clock
    linger_s: float
    poll_s: float


class Intake:
    """One feed's way into the queue. Not thread-safe; `step` blocks on the database and on what the feed reads."""

    def __init__(self, feed: Feed, audience: Audience, into: Into) -> None:
        self._feed, self._audience, self._into = feed, audience, into
        self._held: list[Fed] = []
        """What was read and is not written yet."""
        self._quiet: dict[str, Cursor] = {}
        """Cursors behind positions that nobody wanted, to be written with the next event or after QUIET_S."""
        self._written_at = into.clock.monotonic()
        self._failures = 0

    def step(self) -> float:
        """Do one round; return the seconds until the next: 0 = at once.

        What is away is told in the log and waited for, longer each time. Raises what no waiting mends (`LeaseLost`).
        """
        try:
            more = self._round()
        except (Transient, Refused) as error:
            if isinstance(error, Refused) and error.reason is not Reason.REGISTRY_AWAY:
                raise
            return self._away(error)
        if self._failures:
            log.info("notify_feed_back", feed=self._feed.name, failures=self._failures)
            self._failures = 0
        return 0.0 if more else self._into.poll_s

    def close(self) -> None:
        """End the feed."""
        self._feed.close()

    def _away(self, error: HookbergError) -> float:
        wait = min(LONGEST_S, AGAIN_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        if self._failures == 1:
            log.warning("notify_feed_away", feed=self._feed.name, error=str(error)[:300])
        return wait

    def _round(self) -> bool:
        more = False
        if not self._held:
            read = self._read()
            self._held, more = list(read.fed), read.more
            if read.lag is not None:
                self._into.counts.lags(self._feed.name, read.lag)
        if self._held:
            matchers = self._audience.fresh()
            for part in _parts(self._held, matchers):
                self._write(part)
        self._write_quiet()
        return more

    def _read(self) -> Read:
        try:
            return self._feed.read()
        except HookbergError:
            self._feed.again()  # it may have read what it could not hand over
            raise

    def _write(self, part: "_Part") -> None:
        """Write a part of what is held, or keep its cursors for later when nobody wanted it."""
        cursors = {**self._quiet, **part.cursors}
        if part.taken:
            self._take_in(part.taken, cursors)
            self._into.counts.took_in(self._feed.name, len(part.taken))
        else:
            self._quiet = cursors
        del self._held[: part.length]
        for tenant, missing in part.missing:
            self._into.counts.no_contact(missing.role)
            log.warning("no_contact", tenant=tenant, role=missing.role, contact=missing.name, why=missing.why)

    def _write_quiet(self) -> None:
        if self._quiet and self._into.clock.monotonic() - self._written_at >= QUIET_S:
            self._take_in((), self._quiet)

    def _take_in(self, taken: Sequence[Matched], cursors: Mapping[str, Cursor]) -> None:
        into = self._into
        due = into.outbound.take_in(into.lease, taken, tuple(cursors.values()), into.linger_s)
        self._quiet = {}
        self._written_at = into.clock.monotonic()
        if due:
            into.taken(due)


@dataclass(frozen=True, slots=True)
class _Part:
    """The first `length` positions of what is held, matched."""

    length: int
    taken: Sequence[Matched]
    cursors: Mapping[str, Cursor]
    missing: Sequence[tuple[str, Missing]]


def _parts(held: Sequence[Fed], matchers: Mapping[str, Matcher]) -> Iterator[_Part]:
    """Yield what is held in parts of at most about MAX_LANES lanes, each with the cursors behind it."""
    begin, lanes = 0, 0
    taken: list[Matched] = []
    cursors: dict[str, Cursor] = {}
    missing: list[tuple[str, Missing]] = []
    rows = tuple(held)
    for number, each in enumerate(rows):
        matcher = None if each.event is None else matchers.get(each.event.tenant_id)
        if each.event is not None and matcher is not None:
            routed = matcher.route(each.event, each.at_ms)
            missing += [(each.event.tenant_id, one) for one in routed.missing]
            if routed.lanes:
                taken.append(Matched(each.event, routed.lanes))
                lanes += len(routed.lanes)
        cursors[each.cursor.feed] = each.cursor
        if lanes >= MAX_LANES:
            yield _Part(number + 1 - begin, taken, cursors, missing)
            begin, lanes, taken, cursors, missing = number + 1, 0, [], {}, []
    if begin < len(rows):
        yield _Part(len(rows) - begin, taken, cursors, missing)


async def run(intakes: Iterable[Intake], stop: asyncio.Event) -> None:
    """Run each intake in a thread of its own until `stop`; one that fails ends all, and its error is raised."""
    ended, all_ = threading.Event(), tuple(intakes)
    loop, pool = asyncio.get_running_loop(), ThreadPoolExecutor(len(all_), "notify-feed")
    threads: list[asyncio.Future[None]] = [loop.run_in_executor(pool, _follow, each, ended) for each in all_]
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait({stopping, *threads}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.set()
        stopping.cancel()
        results = await asyncio.gather(*threads, return_exceptions=True)
        pool.shutdown(wait=False)
    for error in results:
        if isinstance(error, BaseException):
            raise error
    if stopping not in done:
        raise RuntimeError("a feed has ended by itself")


def _follow(intake: Intake, ended: threading.Event) -> None:
    try:
        while not ended.is_set():
            ended.wait(intake.step())
    finally:
        intake.close()
