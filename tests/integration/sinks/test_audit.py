"""The audit's reading on a real Kafka: open and aborted transactions, a topic made anew, records of nowhere."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer

from schemas.definitions.view import EMPTY, TopicView
from schemas.errors import Transient
from schemas.reasons import Outcome
from schemas.topics import Kind
from schemas.wire import ledger, raw
from schemas.wire.ledger import Ledger
from schemas.wire.raw import AuthResult, RawMeta
from sinks.audit.report import Report
from sinks.read.audit import Known, Question, audit
from sinks.read.topics import Log
from sinks.source import describe
from tests.house.polling import wait_until
from tests.integration.sinks.world import RealClock, World
from tests.unit.sinks.histories import other, record

PLATFORM = "shop"


class Books:
    """A tenant's raw, clean and ledger topics, written by hand: one partition, one item a delivery."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.names = {
            kind: f"{world.tenant}.{kind}" + ("" if kind == Kind.LEDGER else f".{PLATFORM}")
            for kind in (Kind.WEBHOOK, Kind.EVENT, Kind.QUARANTINE, Kind.LEDGER)
        }
        for name in self.names.values():
            world.make_topic(name, 1)
        self.plain = Producer({**world.kafka, "acks": "all"})
        self.raw_id = self.id_of(Kind.WEBHOOK)

    def id_of(self, kind: Kind) -> str:
        name = self.names[kind]
        found = wait_until(lambda: describe(self.world.admin, [name]).get(name), 20, what=name)
        assert found is not None
        return found.id

    def store(self, count: int) -> None:
        """Write raw records as the ingress does."""
        for n in range(count):
            meta = RawMeta("d", "source-1", self.world.tenant, n, "POST", "/", "", (), AuthResult("none", "none"))
            headers: list[tuple[str, str | bytes | None]] = [*raw.encode(meta)]
            self.plain.produce(self.names[Kind.WEBHOOK], b"{}", headers=headers, partition=0)
        assert self.plain.flush(20) == 0

    def event(self, offset: int) -> bytes:
        return (
            f'{{"eventId":"e{offset}","eventType":"order","position":{{"topicId":"{self.raw_id}","partition":0,'
            f'"offset":{offset},"item":0}},"payload":{{}}}}'
        ).encode()

    def said(self, one: Ledger) -> bytes:
        return ledger.encode(replace(one, topic=self.names[Kind.WEBHOOK], topic_id=self.raw_id))

    def decide(self, first: int, following: int, transactional: str = "stage", *, end: bool | None = True) -> Producer:
        """Write clean events and their ledger record in one transaction: committed, aborted (False) or open (None)."""
        producer = Producer({**self.world.kafka, "transactional.id": f"{self.world.tenant}-{transactional}"})
        producer.init_transactions(20)
        producer.begin_transaction()
        for offset in range(first, following):
            producer.produce(self.names[Kind.EVENT], self.event(offset), partition=0)
        producer.produce(self.names[Kind.LEDGER], self.said(record(first, following, following - first)), partition=0)
        producer.flush(20)
        if end:
            producer.commit_transaction(20)
        elif end is False:
            producer.abort_transaction(20)
        return producer

    def audit(self) -> Report:
        view = TopicView(
            self.names[Kind.WEBHOOK], self.raw_id, self.world.tenant, Kind.WEBHOOK, PLATFORM, 1, "0", False
        )
        snapshot = replace(EMPTY, tenants=frozenset({self.world.tenant}), topics={view.name: view})
        catalog = self.world.catalog()
        try:
            question = Question((self.world.tenant,))
            return audit(question, Known(snapshot, {}), self.world.kafka, catalog, RealClock(), lambda *_: None)
        finally:
            catalog.close()


@pytest.fixture
def books(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Books]:
    world = World(kafka_bootstrap, tmp_path)
    yield Books(world)
    world.stop()


def said(report: Report) -> list[str]:
    return [str(finding) for row in report.rows() for finding in row.findings.in_order()]


def test_aborted_transactions_are_no_outcomes(books: Books) -> None:
    books.store(6)
    books.decide(0, 4, end=False)
    books.decide(0, 4)
    books.decide(4, 6, end=False)
    report = books.audit()
    assert said(report) == []
    (row,) = report.stage
    assert (row.outcomes, row.end, row.pending) == ({"clean": 4}, 4, 2)
    assert [edge.stored for edge in report.edge] == [6]


def test_what_is_decided_for_good_ends_before_an_open_transaction(books: Books) -> None:
    books.store(6)
    books.decide(0, 2)
    log = Log(books.world.kafka, RealClock(), lambda *_: None)
    topic = log.topics([books.names[Kind.EVENT]])[books.names[Kind.EVENT]]
    before = wait_until(lambda: log.stable(topic) == [3], 20, what="the marker of the commit")
    still_open = books.decide(2, 6, "other", end=None)
    assert before
    assert (log.stable(topic), log.bounds(topic)) == ([3], [(0, 7)])
    still_open.abort_transaction(20)
    log.close()


def test_an_event_that_was_never_stored_is_named(books: Books) -> None:
    books.store(2)
    books.decide(0, 2)
    books.plain.produce(books.names[Kind.EVENT], books.event(5), partition=0)
    books.plain.flush(20)
    assert said(books.audit()) == [f"{books.raw_id}/0/5/0: is clean, and no such record is in the raw topic"]


def test_an_event_of_an_unknown_topic_is_named(books: Books) -> None:
    books.store(2)
    books.decide(0, 2)
    stray = books.event(1).replace(books.raw_id.encode(), b"UNKNOWNTOPICUNKNOWNTO1")
    books.plain.produce(books.names[Kind.EVENT], stray, partition=0)
    books.plain.flush(20)
    assert said(books.audit()) == ["UNKNOWNTOPICUNKNOWNTO1/0/1/0: is clean, and no such record is in the raw topic"]


def test_what_is_no_event_in_a_clean_topic_is_named(books: Books) -> None:
    books.store(2)
    books.decide(0, 2)
    offsets: list[int | None] = []  # the commit's marker comes before or after it: Kafka writes markers in its own time
    books.plain.produce(
        books.names[Kind.EVENT], b"noise", partition=0, on_delivery=lambda _, message: offsets.append(message.offset())
    )
    books.plain.flush(20)
    assert said(books.audit()) == [f"{books.id_of(Kind.EVENT)}/0/{offsets[0]}/0: is in the clean topic and no event"]


def test_a_ledger_record_without_its_event_is_named(books: Books) -> None:
    books.store(2)
    books.decide(0, 1)
    books.plain.produce(books.names[Kind.LEDGER], books.said(record(1, 2, 1)), partition=0)
    books.plain.flush(20)
    found = said(books.audit())
    assert f"{books.raw_id}/0/1/0: has no outcome" in found
    assert f"{books.raw_id}/0/1/0: offsets 1 to 1 have 1 clean items in the ledger, 0 in the topic" in found


def test_a_raw_topic_made_anew_is_checked_beside_the_old_one(books: Books) -> None:
    books.store(3)
    books.decide(0, 3)
    name, old = books.names[Kind.WEBHOOK], books.raw_id
    books.world.admin.delete_topics([name])[name].result(20)
    wait_until(lambda: name not in describe(books.world.admin, [name]), 20, what="the topic is gone")

    def made() -> bool:
        books.world.make_topic(name, 1)
        found = describe(books.world.admin, [name]).get(name)
        return found is not None and found.id != old

    wait_until(made, 20, what="the topic is there again")
    books.raw_id = books.id_of(Kind.WEBHOOK)
    books.store(4)
    first_copy_in_the_old_one = other(3, 0, Outcome.DUPLICATE, "e1", (1, 0))
    books.decide(0, 3)
    books.plain.produce(books.names[Kind.LEDGER], books.said(record(3, 4, 0, [first_copy_in_the_old_one])), partition=0)
    books.plain.flush(20)
    report = books.audit()
    assert said(report) == []
    assert {row.topic_id: sum(row.outcomes.values()) for row in report.stage} == {old: 3, books.raw_id: 4}
    assert any("made anew" in note for note in report.edge[0].notes)


def test_an_open_transaction_is_waited_for(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    books.store(4)
    books.decide(0, 2)
    pending = books.decide(2, 4, "other", end=None)
    monkeypatch.setattr("sinks.read.topics.STUCK_S", 3.0)
    with pytest.raises(Transient, match="no end of partitions"):
        books.audit()
    pending.commit_transaction(20)
    assert said(books.audit()) == []
