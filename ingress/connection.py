"""One connection of the fast door: a bounded head, and an answer without a task where nothing has to be waited for.

aiohttp reads a request in a task of its connection and answers it in another one. That is right for what is slow, and a
third of what a small delivery costs. So a request that is here whole, of an address that was resolved before, whose
proof needs nothing but itself, is answered between `data_received` and Kafka's report; everything else is left where
aiohttp has put it. Lives here: telling the two apart, heads that are still coming. Not here: the answer (owed.py).

It rests on names of aiohttp that are not public; README lists them, the version is pinned, and
tests/integration/ingress/test_connection.py holds that they mean what they are taken for.
"""

import asyncio
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http import HttpVersion11, RawRequestMessage

from ingress import headers, heads
from ingress.arrival import Arrival
from ingress.life import OFF_LOOP_BYTES, Life
from ingress.owed import Owing, Owner
from ingress.request import HeldBody, TransportLink, WholeBody
from ingress.whole import WholeReader


class Connection(Owing):
    """One connection: what comes over it is answered here, or left to aiohttp's task."""

    __slots__ = ("_clean", "_link", "_past", "_reader", "_spare", "_unfinished")

    def __init__(self, manager: web.Server, owner: Owner, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:  # noqa: ANN401
        super().__init__(manager, owner, loop=loop, **options)
        self._link = TransportLink(self)
        self._unfinished = 0
        self._reader: WholeReader | None = None
        self._clean = True
        self._past: int | None = None
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
        """Give back what an unfinished head held."""
        self._count(-self._unfinished)
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
