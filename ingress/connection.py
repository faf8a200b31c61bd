"""One connection of the fast door: a bounded head, and an answer without a task where nothing has to be waited for.

aiohttp reads a request in a task of its connection and answers it in another one. That is right for what is slow, and a
third of what a small delivery costs. So a request that is here whole, of an address that was resolved before, whose
proof needs nothing but itself, is answered between `data_received` and Kafka's report; everything else is left where
aiohttp has put it. Lives here: telling the two apart, the pause between request and report, the end of a connection.

It rests on names of aiohttp that are not public; README lists them, the version is pinned, and
tests/unit/ingress/test_connection.py holds that they mean what they are taken for.
"""

import asyncio
from functools import partial
from typing import Any, Protocol

from aiohttp import StreamReader, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from ingress import ack, headers, heads
from ingress.arrival import Arrival, Reply
from ingress.env import Env
from ingress.life import OFF_LOOP_BYTES, Life
from ingress.record import Outgoing
from ingress.request import HeldBody, TransportLink, WholeBody
from ingress.target import Target
from ingress.whole import WholeReader
from schemas.ports import Stored


class Owner(Protocol):
    """Whose connections these are. Implemented by ingress.fast.Door."""

    draining: bool
    env: Env


class Connection(RequestHandler):
    """One connection; `_pending` is the delivery answered here that Kafka has not reported yet: one at a time."""

    __slots__ = (
        "_busy",
        "_clean",
        "_held",
        "_left",
        "_link",
        "_owner",
        "_past",
        "_pending",
        "_reader",
        "_spare",
        "_unfinished",
    )

    def __init__(self, manager: web.Server, owner: Owner, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:  # noqa: ANN401
        super().__init__(manager, loop=loop, **options)
        self._owner = owner
        self._link = TransportLink(self)
        self._unfinished = 0
        self._reader: WholeReader | None = None
        self._clean = True
        self._past: int | None = None
        self._busy = False
        self._held = 0
        self._pending: tuple[Life, Target, Outgoing] | None = None
        self._left: asyncio.Future[None] | None = None
        self._spare: int | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what came; answer it here, or wake aiohttp's task."""
        if self._spare is not None and not self._is_spared(len(data)):
            return
        waiter = self._waiter
        if waiter is None or waiter.done():  # that task has a request in hand and asks for the next itself
            self._parse(data)
            return
        if self._clean and not self._busy and self._is_taken_whole(data):
            return
        self._waiter = None  # else the task would be woken for what may be answered here
        try:
            self._parse(data)
        finally:
            self._waiter = waiter
        if self._messages:
            self._count(-self._unfinished)
            self._go_on()
        else:
            self._count(len(data))

    def discard(self, most: int) -> None:
        """Read at most so many bytes more of a body that was refused; aiohttp ends the connection a second later.

        Reading none would reset it before the answer was seen; reading all would let refused uploads take the worker.
        """
        self._spare = most

    def _is_spared(self, more: int) -> bool:
        self._spare = (self._spare or 0) - more
        if self._spare < 0 and self.transport is not None:
            self.transport.pause_reading()
        return self._spare >= 0

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Do what aiohttp does after each body that is read, where reading was paused at all."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _is_taken_whole(self, data: bytes) -> bool:
        """Answer, or begin to, what is one whole request for here; aiohttp's parser never sees it."""
        owner = self._owner
        if self._force_close or self._close or self._buffer_paused or owner.draining or len(data) > OFF_LOOP_BYTES:
            return False
        if self._reader is None:
            self._reader = WholeReader()
        whole = self._reader.read(data)
        if whole is None:
            return False
        path, query, read, content = whole
        body = HeldBody(content)
        arrival = Arrival("POST", path, query, read, len(content), body, self._link)
        env = owner.env
        target = env.known.find(arrival, env.view.current())
        if target is None or not target.is_self_evident:
            return False
        self._busy = True
        self._begin(Life(arrival, env, env.clock.monotonic()), target, body)
        return True

    def _parse(self, data: bytes) -> None:
        """Hand bytes to aiohttp's parser, and note whether it is left in the middle of a request.

        `_past` is how much came after the head of the one that it reads: as much as its body has, and nothing is left.
        """
        if self._clean:
            end = data.find(b"\r\n\r\n")
            self._past = None if end < 0 else len(data) - end - 4
        elif self._past is not None:
            self._past += len(data)
        self._clean = False
        super().data_received(data)
        if self._past is not None and self._messages:
            message, payload = self._messages[-1]
            whole = isinstance(message, RawRequestMessage) and not message.chunked and payload.is_eof()
            self._clean = whole and payload.total_bytes == self._past

    def _count(self, more: int) -> None:
        """Count what came since the last head: one that is still coming is bounded, and so are all of them together."""
        if not more:
            return
        unfinished = self._owner.env.unfinished
        self._unfinished += more
        unfinished.held += more
        answer = unfinished.answer(self._unfinished) if more > 0 else None
        if answer is not None and self.transport is not None:
            self.transport.write(answer)
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give back what an unfinished head held, and the place of an answer that was held back."""
        self._count(-self._unfinished)
        if self._held:
            self._owner.env.overload.delays.let_go(self._held)
            self._held, self._busy = 0, False
            if self._left is not None and not self._left.done():
                self._left.set_result(None)
        super().connection_lost(exc)

    def _go_on(self) -> None:
        """Take what has come in turn, unless an answer is owed; leave the first that is not for here to aiohttp."""
        while self._messages and not self._busy and not self._force_close:
            if self._buffer_paused or not self._taken(*self._messages[0]):
                if self._waiter is not None and not self._waiter.done():
                    self._waiter.set_result(None)
                return

    def _taken(self, message: object, payload: StreamReader) -> bool:
        """Answer a request here, or begin to; False when it is not for here, and nothing was done."""
        owner = self._owner
        if (
            not isinstance(message, RawRequestMessage)
            or message.method != "POST"
            or not payload.is_eof()
            or payload.exception() is not None
            or message.should_close
            or message.upgrade
            or message.version != HttpVersion11
            or payload.total_bytes > OFF_LOOP_BYTES
            or owner.draining
        ):
            return False
        path, _, query = message.path.partition("?")
        read = headers.read(message.raw_headers)
        body = WholeBody(payload)
        arrival = Arrival("POST", path, query, read, payload.total_bytes, body, self._link)
        env = owner.env
        target = env.known.find(arrival, env.view.current())
        if target is None or not target.is_self_evident or read.size > heads.MAX_BYTES:
            return False
        self._busy = True  # reading the body may let aiohttp parse on
        self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        self._begin(Life(arrival, env, env.clock.monotonic()), target, body)
        return True

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
