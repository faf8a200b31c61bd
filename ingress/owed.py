"""The answer that a connection of the fast door owes: from the judgement of a delivery to the bytes that are written.

Lives here: the pause between request and Kafka's report, an answer that is held back, the end of a connection that owes
one. Not here: which requests are answered without a task (connection.py), what is answered (life.py, ack.py). It rests
on names of aiohttp that are not public, as connection.py does: README.md.
"""

import asyncio
from abc import ABC, abstractmethod
from functools import partial
from typing import Any, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ingress import ack
from ingress.arrival import Reply
from ingress.env import Env
from ingress.life import Life
from ingress.record import Outgoing
from ingress.request import HeldBody, WholeBody
from ingress.target import Target
from schemas.ports import Stored


class Owner(Protocol):
    """Whose connections these are. Implemented by ingress.fast.Door."""

    draining: bool
    env: Env


class Owing(RequestHandler, ABC):
    """Owes one answer at a time; `_pending` is the delivery answered here that Kafka has not reported yet."""

    __slots__ = ("_busy", "_held", "_left", "_owner", "_pending")

    def __init__(self, manager: web.Server, owner: Owner, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:  # noqa: ANN401
        super().__init__(manager, loop=loop, **options)
        self._owner = owner
        self._busy = False
        self._held = 0
        self._pending: tuple[Life, Target, Outgoing] | None = None
        self._left: asyncio.Future[None] | None = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give back the place of an answer that was held back."""
        if self._held:
            self._owner.env.overload.delays.let_go(self._held)
            self._held, self._busy = 0, False
            if self._left is not None and not self._left.done():
                self._left.set_result(None)
        super().connection_lost(exc)

    @abstractmethod
    def _go_on(self) -> None:
        """Take what came while an answer was owed."""

    def _begin(self, life: Life, target: Target, body: WholeBody | HeldBody) -> None:
        """Judge a request; hand its record to Kafka, or answer it."""
        try:
            life.admit(target)
            received = life.received = body.whole()
            made = life.at_once(target, received)
            if isinstance(made, Reply):
                self._end(life, made)
                return
            self._pending = life, target, made
            life.env.publisher.send(made.topic, made.partition, made.key, made.body, made.headers, self._reported)
        except Exception as exc:  # noqa: BLE001 one request's bug is its own 500
            self._pending = None
            self._end(life, life.failed(exc))

    def _reported(self, result: Stored | Exception) -> None:
        """Answer what Kafka has reported; total, for it is called by the Kafka client."""
        assert self._pending is not None  # noqa: S101 set when the record was sent
        life, target, made = self._pending
        self._pending = None
        try:
            reply = life.failed(result) if isinstance(result, Exception) else life.stored(target, made, result)
        except Exception as exc:  # noqa: BLE001 as above
            reply = life.failed(exc)
        self._end(life, reply)
        self._go_on()

    def _end(self, life: Life, reply: Reply) -> None:
        life.leave()
        reply = life.ended(reply)
        if life.strain is not None:
            answer = partial(self._answer_late, reply)
            self._held = self._owner.env.overload.delays.hold(life.wait_s(reply), answer)
            if self._held:
                return
        self._busy = False
        self._write(reply)

    def _answer_late(self, reply: Reply) -> None:
        """Answer a delivery that was stored a while ago, and go on with what has come meanwhile."""
        self._held = 0
        self._busy = False
        self._write(reply)
        self._go_on()

    def _write(self, reply: Reply) -> None:
        transport = self.transport
        if self._left is not None and not self._left.done():
            self._left.set_result(None)
        if transport is None or ack.is_unread(transport):
            return
        closing = reply.close or self._close or self._owner.draining
        transport.write(ack.text(reply, closing=closing))
        if closing:
            self.force_close()
        else:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def _process_keepalive(self) -> None:
        """End an idle connection; one that waits for Kafka is not idle."""
        if self._busy:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 aiohttp's signature
        """Wait for the answer that is owed, then end."""
        if self._busy:
            self._left = self._loop.create_future()
            await asyncio.wait([self._left], timeout=timeout)
        await super().shutdown(timeout)
