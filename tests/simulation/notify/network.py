"""Receivers of a simulated network: they answer, fail, hang, redirect, lose answers, end; and remember everything.

Lives here: what an endpoint does at a time, and what it has seen. Not here: who calls (process.py).
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from schemas.backing.egress.post import Posted
from schemas.reasons import Reason
from tests.simulation.notify.loop import Clock

ILLS = ("error", "refused", "hang", "redirect", "lost", "away", "later", "slow")
GONE = "gone"


@dataclass(frozen=True, slots=True)
class Seen:
    """A message that arrived: when, by whom, whether it was answered with 2xx."""

    at: float
    process: str
    message_id: str
    events: tuple[str, ...]
    taken: bool


@dataclass(slots=True)
class Endpoint:
    """One receiver; `ills`: (from, until, what); `healthy`: it never had any."""

    name: str
    ills: list[tuple[float, float, str]]
    seen: list[Seen] = field(default_factory=list)
    under_way: dict[str, int] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        return not self.ills

    def ill(self, now: float) -> str:
        return next((what for since, until, what in self.ills if since <= now < until), "")


class Network:
    """All receivers, and the way to them; `most` requests a process were under way at once."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self._clock, self._chance = clock, chance
        self.endpoints: dict[str, Endpoint] = {}
        self.most = 0

    async def post(
        self, process: str, url: str, headers: Sequence[tuple[str, str]], body: bytes, timeout_s: float
    ) -> Posted:
        """Carry one request; the receiver's memory is written when it arrives."""
        endpoint = self.endpoints[url]
        endpoint.under_way[process] = endpoint.under_way.get(process, 0) + 1
        assert endpoint.under_way[process] == 1, "two requests at once by one lane"
        self.most = max(self.most, sum(one.under_way.get(process, 0) for one in self.endpoints.values()))
        try:
            return await self._carry(process, endpoint, headers, body, timeout_s)
        finally:
            endpoint.under_way[process] -= 1

    async def _carry(
        self, process: str, endpoint: Endpoint, headers: Sequence[tuple[str, str]], body: bytes, timeout_s: float
    ) -> Posted:
        began = self._clock.now
        await asyncio.sleep(self._chance.uniform(0.001, 0.05))
        ill = endpoint.ill(self._clock.now)
        if ill == "away":
            return Posted(None, Reason.CONNECTION_FAILED, "nobody there")
        if ill == "slow":
            await asyncio.sleep(self._chance.uniform(0.1, timeout_s * 0.8))
        self._arrived(process, endpoint, headers, body, taken=ill in {"", "slow", "lost"})
        if ill == "hang":
            await asyncio.sleep(timeout_s)
            return Posted(None, Reason.ENDPOINT_TIMEOUT, "no answer")
        if ill == "lost":
            return Posted(None, Reason.CONNECTION_FAILED, "closed before it answered")
        await asyncio.sleep(self._chance.uniform(0.001, 0.05))
        status = {"error": 503, "refused": 400, "redirect": 302, "later": 429, GONE: 410}.get(ill, 204)
        answer = (("retry-after", str(self._chance.choice((0, 5, 40)))),) if ill == "later" else ()
        return Posted(status, None, "", answer, b"", duration_ms=int((self._clock.now - began) * 1000))

    def _arrived(
        self, process: str, endpoint: Endpoint, headers: Sequence[tuple[str, str]], body: bytes, *, taken: bool
    ) -> None:
        message_id = dict(headers)["webhook-id"]
        told = orjson.loads(body)
        events = tuple(one["eventId"] for one in (told if isinstance(told, list) else [told]))
        endpoint.seen.append(Seen(self._clock.now, process, message_id, events, taken))
