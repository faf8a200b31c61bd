"""What is asked of aiokafka inside Faust's consumer thread: seeking, taking dead members out, errors of the group.

Lives here: the calls that both apps make (consumer.py, ledgers.py). Private names of Faust: README.md beside this file.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.client import CoordinationType
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest
from faust.types import TP

from schemas.logs import logger

_log = logger(__name__)
Thread = Any
"""Faust's consumer thread, which is untyped."""


async def seek(thread: Thread, partitions: Mapping[TP, int]) -> None:
    """Seek what is assigned; without an assignment nothing is: the one that is being made seeks anew.

    Look and seek are one step of the consumer's thread, where a subscription to other topics drops the assignment.
    """

    async def step() -> None:
        consumer = thread._ensure_consumer()  # noqa: SLF001 README.md
        assigned = consumer.assignment()
        for tp, offset in partitions.items():
            if tp in assigned:
                consumer.seek(tp, offset)

    await thread.call_thread(step)


async def positions(thread: Thread, partitions: Iterable[TP]) -> dict[TP, int]:
    """Return where fetching stands in what is assigned of `partitions`."""
    wanted = set(partitions)

    async def step() -> dict[TP, int]:
        consumer = thread._ensure_consumer()  # noqa: SLF001 README.md
        return {TP(tp.topic, tp.partition): await consumer.position(tp) for tp in consumer.assignment() if tp in wanted}

    found: dict[TP, int] = await thread.call_thread(step)
    return found


async def evict(thread: Thread, group: str, members: Iterable[str]) -> None:
    """Take dead predecessors out of the group before joining it, which would wait out their session otherwise.

    The group has one process, held by a lock file: whoever is a member now is dead or fenced.
    """

    async def leave(member: str) -> None:
        client = thread._ensure_consumer()._client  # noqa: SLF001 README.md
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
        await client.send(node, LeaveGroupRequest(group, member))

    for member in members:
        try:
            await thread.call_thread(leave, member)
            _log.info("dead_member_evicted", group=group)
        except KafkaError as exc:
            _log.warning("dead_member_not_evicted", group=group, error=str(exc))


async def check_group(thread: Thread) -> None:
    """Raise what broke the group's membership, which aiokafka tells nobody; return when nothing did."""
    client = thread._consumer  # noqa: SLF001 README.md
    if client is None or client._coordinator is None:  # noqa: SLF001
        return

    async def check() -> None:
        client._coordinator.check_errors()  # noqa: SLF001

    await thread.call_thread(check)
