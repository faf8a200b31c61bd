"""Records are taken from aiokafka's buffers by a share of each partition: a large batch of one holds up no other."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import FetchError, FetchResult
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException
from faust.types import TP

from streams.engine import thread

BEHIND, OTHER = TP("acme.webhook.behind", 0), TP("acme.webhook.other", 0)


class State:
    """What aiokafka keeps of an assigned partition."""

    def __init__(self) -> None:
        self.paused, self.position = False, 0

    def consumed_to(self, position: int) -> None:
        self.position = position


class Fetched:
    """What a fetch brought of a partition: offsets up to `end`."""

    def __init__(self, end: int) -> None:
        self.next_fetch_offset, self._end = 0, end

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        if self.next_fetch_offset == self._end:
            raise StopIteration
        self.next_fetch_offset += 1
        return self.next_fetch_offset - 1


class Fetcher:
    """aiokafka's fetcher: `FetchResult` is the real one; `waited` counts how often nothing was there."""

    _closed = False
    _wait_consume_future = None

    def __init__(self, **ends: int) -> None:
        self.states = {tp: State() for tp in (BEHIND, OTHER)}
        assignment = SimpleNamespace(active=True, state_value=self.states.__getitem__)
        names = {"behind": BEHIND, "other": OTHER}
        self._records: OrderedDict[TP, Any] = OrderedDict(
            (names[name], FetchResult(names[name], assignment=assignment, partition_records=Fetched(end), backoff=0.1))
            for name, end in ends.items()
        )
        self._subscriptions = SimpleNamespace(reassignment_in_progress=False, fetch_context=nullcontext)
        self.waited = self.notified = 0

    def _notify(self, _future: None) -> None:
        self.notified += 1

    async def fetched_records(self, partitions: set[TP], _timeout_s: float, _share: int) -> dict[TP, list[int]]:
        for tp, found in self._records.items():
            if tp in partitions and isinstance(found, FetchError):
                found.check_raise()
        self.waited += 1
        return {}


class Thread:
    """Runs what it is given at once."""

    def __init__(self, fetcher: Fetcher, *, flows: bool = True, closed: bool = False) -> None:
        self.consumer = SimpleNamespace(flow_active=flows)
        self._made = SimpleNamespace(_fetcher=fetcher, _closed=closed)

    def _ensure_consumer(self) -> SimpleNamespace:
        return self._made

    async def call_thread(self, fun: Callable[[], Awaitable[Any]]) -> Any:
        return await fun()


async def taken(fetcher: Fetcher, share: int = 3, *partitions: TP, **more: bool) -> dict[str, list[int]]:
    found = await thread.take(Thread(fetcher, **more), set(partitions or (BEHIND, OTHER)), share, 1.0)
    return {tp.topic.rpartition(".")[2]: records for tp, records in found.items()}


async def test_each_partition_gives_a_share_and_the_rest_waits_in_order() -> None:
    fetcher = Fetcher(behind=7, other=1)
    assert await taken(fetcher) == {"behind": [0, 1, 2], "other": [0]}
    assert await taken(fetcher) == {"behind": [3, 4, 5]}
    assert fetcher.states[BEHIND].position == 6, "where the next fetch of it begins"
    assert await taken(fetcher) == {"behind": [6]}
    assert fetcher.waited == 0
    assert await taken(fetcher) == {}
    assert fetcher.waited == 1


async def test_what_is_used_up_is_fetched_again_at_once_and_what_is_not_is_kept() -> None:
    fetcher = Fetcher(behind=7, other=1)
    await taken(fetcher)
    assert list(fetcher._records) == [BEHIND]
    assert fetcher.notified == 1


async def test_partitions_that_are_not_asked_for_keep_their_records() -> None:
    fetcher = Fetcher(behind=7, other=1)
    assert await taken(fetcher, 3, OTHER) == {"other": [0]}
    assert await taken(fetcher) == {"behind": [0, 1, 2]}


async def test_a_paused_partition_gives_nothing_and_is_fetched_again_later() -> None:
    fetcher = Fetcher(behind=7, other=1)
    fetcher.states[BEHIND].paused = True
    assert await taken(fetcher) == {"other": [0]}
    assert list(fetcher._records) == []


async def test_an_error_of_one_partition_is_raised_whatever_the_others_have() -> None:
    fetcher = Fetcher(behind=7)
    fetcher._records[OTHER] = FetchError(error=CorruptRecordException(), backoff=0.1)
    with pytest.raises(CorruptRecordException):
        await taken(fetcher)
    del fetcher._records[OTHER]
    assert await taken(fetcher) == {"behind": [0, 1, 2]}, "nothing was taken before it was raised"


@pytest.mark.parametrize("how", ["flow", "reassignment"])
async def test_nothing_is_taken_while_partitions_go(how: str) -> None:
    fetcher = Fetcher(behind=7)
    fetcher._subscriptions.reassignment_in_progress = how == "reassignment"
    assert await taken(fetcher, flows=how != "flow") == {}
    assert fetcher.states[BEHIND].position == 0


async def test_a_closed_consumer_says_so() -> None:
    with pytest.raises(ConsumerStoppedError):
        await taken(Fetcher(behind=7), closed=True)
