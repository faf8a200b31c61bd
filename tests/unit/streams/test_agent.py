"""Batches into transactions: a full one is closed after the raw record that filled it (rule 6)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.definitions.view import EMPTY, TopicView
from schemas.reasons import Outcome
from schemas.wire import ledger as ledger_wire
from streams.account import Account
from streams.emit import Decided, Record
from streams.engine.agent import BatchAgent, Batches
from streams.engine.agent import Ledger as RealLedger
from streams.engine.table import Partition, Stand
from tests.unit.streams.made import Partition as Deciding
from tests.unit.streams.made import record, source
from tests.unit.streams.test_ingest import TOPIC

CAP = 10


class Transactions:
    """Takes `CAP` records a transaction; waiting for room commits a full one."""

    def __init__(self) -> None:
        self.count = 0
        self.added: list[tuple[Stand, int, int]] = []
        self.closed: list[int] = []
        self.stands: dict[Partition, Stand] = {}

    @property
    def left(self) -> int:
        return CAP - self.count

    async def room(self) -> None:
        if self.left <= 0:
            self.closed.append(self.count)
            self.count = 0

    def add(
        self, partition: Partition, stand: Stand, states: Mapping[bytes, bytes], records: list[Record], listed: int = 0
    ) -> None:
        self.stands[partition] = stand
        self.added.append((stand, len(states), len(records)))
        self.count += len(states) + len(records) + listed


class Ledger:
    """One account; notes where it was asked to begin."""

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self.kept = Account(0)

    def account(self, _topic: Any, _partition: int, first: int) -> Account:
        self.firsts.append(first)
        return self.kept


class Table:
    """Knows what the open transaction writes."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def stand(self, partition: Partition) -> Stand | None:
        return self._transactions.stands.get(partition)


async def process(
    *bodies: bytes, first: int = 0, keep: list[list[Decided]] | None = None
) -> tuple[Transactions, Ledger]:
    transactions, ledger, deciding = Transactions(), Ledger(), Deciding(source())

    async def agent(batches: Batches) -> AsyncIterator[list[Decided]]:
        async for batch in batches:
            decided = deciding.emit(*batch.records)
            if keep is not None:
                keep.append(decided)
            yield decided

    parts: Any = {"transactions": transactions, "ledger": ledger, "table": Table(transactions)}
    records = tuple(record(body, n, 1_000 - n, delivery_id=str(n)) for n, body in enumerate(bodies, first))
    made = BatchAgent("test", agent, **parts)
    try:
        await made.process(TOPIC, 1, records)
    finally:
        assert made._task is not None
        made._task.cancel()
    return transactions, ledger


async def test_a_batch_is_cut_after_the_record_that_fills_the_transaction() -> None:
    transactions, ledger = await process(*(b"{}" for _ in range(12)))
    assert [stand.next_offset for stand, _, _ in transactions.added] == [5, 10, 12]
    assert transactions.closed == [CAP, CAP]
    assert ledger.firsts == [0, 5, 10]
    assert ledger.kept.items == 12
    assert {stand.time_ms for stand, _, _ in transactions.added} == {1_000}


async def test_a_delivery_is_never_in_two_transactions() -> None:
    big = b"[" + b",".join(b'{"n":%d}' % n for n in range(20)) + b"]"
    transactions, _ = await process(b"{}", big, b"{}", b"{}")
    assert [(stand.next_offset, states) for stand, states, _ in transactions.added] == [(2, 21), (4, 2)]
    assert transactions.closed == [42]


async def test_items_that_write_nothing_but_their_entry_in_the_ledger_fill_a_transaction_too() -> None:
    transactions, ledger = await process(*(b'{"id":"a"}' for _ in range(24)))
    assert [stand.next_offset for stand, _, _ in transactions.added] == [9, 19, 24]
    assert transactions.closed == [CAP, CAP]
    assert ledger.kept.listed == 23


async def test_parts_of_a_batch_are_written_as_they_are_decided() -> None:
    transactions, deciding, between = Transactions(), Deciding(source()), list[int]()

    async def agent(batches: Batches) -> AsyncIterator[list[Decided]]:
        async for batch in batches:
            for at in (0, 2, 3):
                part = batch.records[at : {0: 2, 2: 3, 3: 5}[at]]
                yield deciding.emit(*part)
                between.append(len(transactions.added))

    parts: Any = {"transactions": transactions, "ledger": Ledger(), "table": Table(transactions)}
    made = BatchAgent("test", agent, **parts)
    for first, time_ms in ((0, 1_000), (5, 10)):
        await made.process(TOPIC, 1, tuple(record(b"{}", first + n, time_ms, delivery_id=str(n)) for n in range(5)))
    assert made._task is not None
    made._task.cancel()
    assert [stand.next_offset for stand, _, _ in transactions.added] == [2, 3, 5, 7, 8, 10]
    assert between[:3] == [1, 2, 2], "what is decided last is written with the next call"
    assert {stand.time_ms for stand, _, _ in transactions.added} == {1_000}


async def test_a_batch_that_fits_stays_whole() -> None:
    transactions, _ = await process(b"{}", b"[]", b"{}")
    assert [(stand.next_offset, states, records) for stand, states, records in transactions.added] == [(3, 2, 2)]


async def test_a_batch_that_does_not_begin_where_the_stage_stands_is_refused() -> None:
    with pytest.raises(RuntimeError, match="stands at 0, not at 3"):
        await process(b"{}", first=3)


async def test_records_that_were_decided_before_are_refused() -> None:
    transactions, deciding = Transactions(), Deciding(source())

    async def agent(batches: Batches) -> AsyncIterator[list[Decided]]:
        async for batch in batches:
            yield deciding.emit(*batch.records)

    parts: Any = {"transactions": transactions, "ledger": Ledger(), "table": Table(transactions)}
    made = BatchAgent("test", agent, **parts)
    await made.process(TOPIC, 1, (record(b"{}", 0),))
    with pytest.raises(RuntimeError, match="stands at 1, not at 0"):
        await made.process(TOPIC, 1, (record(b"{}", 0),))
    assert len(transactions.added) == 1


async def test_what_the_agent_yields_is_not_kept_alive_while_the_next_batch_is_decided() -> None:
    yielded: list[list[Decided]] = []
    transactions, _ = await process(b'{"id": "a"}', b'{"id": "b"}', keep=yielded)
    assert transactions.count, "something was decided and written"
    assert yielded == [[]]


async def test_a_transaction_that_filled_up_while_a_batch_was_decided_takes_nothing_of_it() -> None:
    transactions, deciding = Transactions(), Deciding(source())

    async def agent(batches: Batches) -> AsyncIterator[list[Decided]]:
        async for batch in batches:
            transactions.count = CAP
            yield deciding.emit(*batch.records)

    parts: Any = {"transactions": transactions, "ledger": Ledger(), "table": Table(transactions)}
    made = BatchAgent("test", agent, **parts)
    await made.process(TOPIC, 1, (record(b"{}", 0),))
    assert made._task is not None
    made._task.cancel()
    assert (transactions.closed, transactions.count) == ([CAP], 2)


async def test_partition_time_goes_on_from_batch_to_batch() -> None:
    transactions, deciding, given = Transactions(), Deciding(source()), list[int]()

    async def agent(batches: Batches) -> AsyncIterator[list[Decided]]:
        async for batch in batches:
            given.append(batch.time_ms)
            yield deciding.emit(*batch.records)

    parts: Any = {"transactions": transactions, "ledger": Ledger(), "table": Table(transactions)}
    made = BatchAgent("test", agent, **parts)
    for offset, at_ms in ((0, 9_000), (1, 5_000), (2, 10_000)):
        await made.process(TOPIC, 1, (record(b"{}", offset, at_ms),))
    assert made._task is not None
    made._task.cancel()
    assert given == [0, 9_000, 9_000]
    assert transactions.stands[TOPIC.topic_id, 1] == Stand(3, 10_000)


def shown(name: str, kind: str, **more: int) -> TopicView:
    return TopicView(name, "", "acme", kind, "shop", 4, "", paused=False, **more)


SECOND = replace(EMPTY, topics={
    str(TOPIC.name): shown(str(TOPIC.name), "webhook", slot=1), TOPIC.ledger: shown(TOPIC.ledger, "ledger", span=2),
})  # fmt: skip
"""The registry in which the topic's group is the tenant's second, with a range of two partitions."""


def real_ledger() -> tuple[RealLedger, list[Any], list[dict[str, int]]]:
    """Return a ledger, what is called when its transaction closes, and what it counted."""
    closing, counted = list[Any](), list[dict[str, int]]()
    transactions: Any = SimpleNamespace(at_close=closing.append)
    made = RealLedger(transactions, group="1", now_us=lambda: 5, count=counted.append, registry=lambda: SECOND)
    return made, closing, counted


def test_a_loss_is_in_the_ledger_with_its_range_and_partition_time_stays() -> None:
    ledger, closing, counted = real_ledger()
    transactions = Transactions()
    transactions.stands[TOPIC.topic_id, 1] = Stand(3, 7_000)
    parts: Any = {"transactions": transactions, "ledger": ledger, "table": Table(transactions)}
    made = BatchAgent("test", lambda _batches: None, **parts)  # type: ignore[arg-type, return-value]
    made.lost(TOPIC, 1, 3, 9, 9)
    assert transactions.added == [(Stand(9, 7_000), 0, 0)]
    (written,) = closing[0]()
    found = ledger_wire.decode(written.value)
    assert (found.first, found.next_offset, found.items, found.lost) == (3, 9, 0, ((3, 9),))
    assert counted[0] == {Outcome.LOST.value: 6}


def test_each_transaction_has_an_account_of_its_own_in_the_groups_range_of_the_ledger() -> None:
    ledger, closing, _ = real_ledger()
    ledger.account(TOPIC, 1, 3).next_offset = 5
    assert ledger.account(TOPIC, 1, 4).first == 3
    ledger.account(replace(TOPIC, topic_id="made anew"), 1, 0)
    written = [record for close in closing for record in close()]
    assert [ledger_wire.decode(one.value).first for one in written] == [3, 0]
    assert {one.partition for one in written} <= {2, 3}
    assert ledger.account(TOPIC, 1, 5).first == 5
    assert len(closing) == 3
