"""Answers held back on the fast door: without a task, in order, let go of when the sender leaves, ended at shutdown."""

import asyncio

from ingress.overload.policies import Strain
from schemas.overload import Level
from schemas.reasons import Reason
from tests.fakes.edge import Edge
from tests.integration.ingress.door import served, until
from tests.integration.ingress.test_connection import ONE, known, shop, tasks

__all__ = ["tasks"]
SOURCE = "src-acme-shop"


async def waiting(delay_s: float) -> Edge:
    edge = await known(shop())
    edge.overload.strained = {SOURCE: Strain(Level.ALARM, "queue", delay_s=delay_s)}
    return edge


async def test_a_delayed_answer_needs_no_task_and_what_follows_it_waits(
    tasks: list[str],
) -> None:
    edge, loop = await waiting(0.2), asyncio.get_running_loop()
    # the door's clock stands still: what is left of a delay is all of it
    async with served(edge) as at, at.wire() as wire:
        began = loop.time()
        wire.send(ONE + ONE)
        await until(lambda: len(edge.overload.delays))
        assert len(edge.publisher.records) == 1
        assert (await wire.answer()).status == 200
        assert loop.time() - began >= 0.19
        assert (await wire.answer()).status == 200
        assert loop.time() - began >= 0.38
    assert (tasks, edge.admission.requests, len(edge.overload.delays)) == ([], 0, 0)
    assert edge.overload.delays.total == 2


async def test_a_sender_that_leaves_gives_its_place_back() -> None:
    edge = await waiting(600.0)
    async with served(edge) as at:
        async with at.wire() as wire:
            wire.send(ONE)
            await until(lambda: len(edge.overload.delays))
        await until(lambda: not len(edge.overload.delays))
    assert len(edge.publisher.records) == 1


async def test_all_that_is_held_is_answered_when_the_worker_ends() -> None:
    edge = await waiting(600.0)
    async with served(edge) as at, at.wire() as one, at.wire() as other:
        one.send(ONE)
        other.send(ONE.replace(b"HTTP/1.1", b"HTTP/1.0"))  # which a task answers
        await until(lambda: len(edge.overload.delays) == 2)
        at.door.draining = True
        edge.overload.delays.end()
        first, second = await one.answer(), await other.answer()
        assert (first.status, first.headers["connection"], second.status) == (200, "close", 200)
        await asyncio.wait_for(at.runner.cleanup(), 5)
        assert await one.ended()


async def test_a_strained_source_is_refused_without_a_task_while_another_is_answered(
    tasks: list[str],
) -> None:
    edge = await known(shop())
    async with served(edge) as at, at.wire() as wire:
        edge.overload.strained = {SOURCE: Strain(Level.ALARM, "reject", refused=Reason.BACKLOG_ALARM, retry_s=9.0)}
        wire.send(ONE)
        answer = await wire.answer()
        assert (answer.status, answer.headers["retry-after"], answer.json()["reason"]) == (429, "9", "backlog_alarm")
        edge.overload.strained = {"src-acme-other": edge.overload.strained[SOURCE]}
        wire.send(ONE)
        assert (await wire.answer()).status == 200
    assert (tasks, len(edge.publisher.records)) == ([], 1)
