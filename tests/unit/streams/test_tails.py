"""A raw log that is no longer the one that was read is noticed before anything of it is decided (rules 9 and 19).

Found by the fault suite: a tail cut off under a running stage was never told, and what was written again was passed
over (seed 4, one broker); a topic made anew was taken for a log that had lost its tail, and its records were booked
under the old topic id (seed 31, three brokers).
"""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from streams.engine.consumer import BatchConsumer
from streams.engine.table import Stand
from streams.engine.tails import Tails

RAW = TP("t.webhook.x", 0)


class Ended(Exception):
    """What ends the process."""


class Log:
    """A raw log as (offset, broker's ms), and the connection to its leader."""

    def __init__(self, times: list[int]) -> None:
        self.times, self.connection, self.age, self.topic_id = times, object(), 1, "old"
        self.asked = 0

    def first_since(self, ms: int) -> Any:
        found = next((offset for offset, time in enumerate(self.times) if time >= ms), None)
        return None if found is None else SimpleNamespace(offset=found)


class Looking(Tails):
    """Asks a log in memory."""

    def __init__(self, log: Log, consumer: Any) -> None:
        super().__init__(consumer)
        self._log = log

    async def _ask(self, times: dict[TP, int]) -> dict[TP, Any]:
        self._log.asked += 1
        return {tp: self._log.first_since(ms) for tp, ms in times.items()}

    def _connection(self, _tp: TP) -> object:
        return self._log.connection

    def _age(self) -> object:
        return self._log.age


def looking(log: Log) -> Looking:
    def ids(names: list[str]) -> dict[str, tuple[str, int]]:
        log.asked += 1
        return {name: (log.topic_id, 1) for name in names if log.topic_id}

    app = SimpleNamespace(live={RAW.topic: SimpleNamespace(topic_id="old")}, directory=SimpleNamespace(ids=ids))
    return Looking(log, SimpleNamespace(app=app))


async def test_a_log_that_only_grew_is_the_one_that_was_read() -> None:
    log = Log([10, 20, 20, 40])
    assert await looking(log).rewritten({RAW: Stand(3, 20)}) == {}


async def test_a_log_that_was_cut_and_is_past_the_position_again_is_noticed_where_it_is_new() -> None:
    log = Log([10, 20, 50, 51, 52, 53])  # stood at 5 with 30 the newest; 2 and what follows came later
    assert await looking(log).rewritten({RAW: Stand(5, 30)}) == {RAW: 2}


async def test_a_partition_is_in_doubt_until_it_was_looked_at_and_again_over_another_connection() -> None:
    log = Log([10])
    tails = looking(log)
    assert tails.doubtful(RAW)
    await tails.rewritten({RAW: Stand(1, 10)})
    assert not tails.doubtful(RAW)
    log.connection = object()
    assert tails.doubtful(RAW)
    tails.trust([RAW])
    assert not tails.doubtful(RAW)


async def test_a_connection_that_changes_while_it_is_looked_at_leaves_the_partition_in_doubt() -> None:
    log = Log([10])
    tails = looking(log)

    async def ask(times: dict[TP, int]) -> Mapping[TP, Any]:
        log.connection = object()
        return dict.fromkeys(times)

    tails._ask = ask  # type: ignore[method-assign, assignment]
    await tails.rewritten({RAW: Stand(1, 10)})
    assert tails.doubtful(RAW)


async def test_topic_ids_are_asked_for_when_the_metadata_was_read_anew() -> None:
    log = Log([])
    tails = looking(log)
    assert await tails.made_anew() == []
    log.topic_id = "new"
    assert await tails.made_anew() == []
    assert log.asked == 1
    assert await tails.made_anew(again=True) == [RAW.topic]
    assert log.asked == 2
    log.age += 1
    assert await tails.made_anew() == [RAW.topic]


async def test_a_topic_that_is_just_gone_is_asked_for_until_it_is_there() -> None:
    log = Log([])
    tails = looking(log)
    log.topic_id = ""
    assert await tails.made_anew() == []
    log.topic_id = "new"
    assert await tails.made_anew() == [RAW.topic]


async def test_a_topic_made_anew_ends_the_process_before_its_records_are_looked_at() -> None:
    log, decided = Log([]), list[Any]()
    tails = looking(log)
    log.topic_id = "new"

    def end(why: str, _cause: object) -> None:
        raise Ended(why)

    async def nothing() -> None:
        """Commit nothing."""

    async def batch(tp: TP, records: Any) -> None:
        decided.append((tp, records))

    class Reader:
        _tails, _batch, flow_active = tails, staticmethod(batch), True
        app = SimpleNamespace(end=end, transactions=SimpleNamespace(commit=nothing), consumer_generation_id=1)
        _recognise, _recognised = BatchConsumer._recognise, BatchConsumer._recognised

    with pytest.raises(Ended, match=RAW.topic):
        await BatchConsumer._take(cast("Any", Reader()), {RAW: [object()]}, 1)
    assert decided == []
