"""What is asked of aiokafka inside Faust's consumer thread: records, seeking, taking dead members out, group errors.

Lives here: the calls that both apps make (consumer.py, ledgers.py). Private names of Faust: README.md beside this file.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from aiokafka.client import CoordinationType
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.protocol.group import LeaveGroupRequest
from faust.types import TP

from schemas.logs import logger

_log = logger(__name__)
Thread = Any
"""Faust's consumer thread, which is untyped."""
Records = dict[Any, list[Any]]
"""aiokafka's records by its TopicPartition."""


async def take(thread: Thread, partitions: Collection[Any], share: int, timeout_s: float) -> Records:
    """Return up to `share` fetched records of each partition in order, waiting for the first that come.

    aiokafka's own bound is one for all partitions, and the first in its buffers would use it up.
    """

    async def step() -> Records:
        if not thread.consumer.flow_active:
            return {}
        consumer = thread._ensure_consumer()  # noqa: SLF001 README.md
        fetcher = consumer._fetcher  # noqa: SLF001
        if consumer._closed or fetcher._closed:  # noqa: SLF001
            raise ConsumerStoppedError
        with fetcher._subscriptions.fetch_context():  # noqa: SLF001
            if fetcher._subscriptions.reassignment_in_progress:  # noqa: SLF001 what is buffered may not be ours
                return {}
            taken = _buffered(fetcher, partitions, share)
            return taken or await fetcher.fetched_records(partitions, timeout_s, share)

    found: Records = await thread.call_thread(step)
    return found


def _buffered(fetcher: Any, partitions: Collection[Any], share: int) -> Records:  # noqa: ANN401 aiokafka's Fetcher
    """Take from aiokafka's buffers as its `fetched_records` does, but as much of each; nothing at an error."""
    taken: Records = {}
    buffers = fetcher._records  # noqa: SLF001
    wanted = [(tp, found) for tp, found in buffers.items() if tp in partitions]
    if not all(isinstance(found, FetchResult) for _, found in wanted):
        return {}  # an error, which `fetched_records` raises
    for tp, found in wanted:
        if records := found.getall(share):
            taken[tp] = records
        if not found.has_more():
            del buffers[tp]
            fetcher._notify(fetcher._wait_consume_future)  # noqa: SLF001 the next request may go out
    return taken


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
