"""The ledger: one record a partition and transaction, sums and everything that is not clean (rule 14)."""

import json

from streams.account import Account
from tests.unit.streams.made import RECEIVED_US, TOPIC_ID, Partition, record, source

MINUTE_US = 60_000_000


def test_the_ledger_counts_by_source_type_minute_and_outcome_and_lists_what_is_not_clean() -> None:
    at_ms = RECEIVED_US // 1000
    bodies = [
        {"id": "a", "type": "x", "at": at_ms}, {"id": "b", "type": "x", "at": at_ms},
        {"id": "c", "type": "y", "at": at_ms},
        {"id": "d", "type": "x", "at": at_ms + 60_000}, {"id": "a", "type": "x", "at": at_ms}, 7,
    ]  # fmt: skip
    decisions = Partition(source()).decide(
        *(record(json.dumps(body).encode(), n, delivery_id=str(n)) for n, body in enumerate(bodies))
    )
    account = Account(0)
    account.add(decisions[:2], 2)
    account.add(decisions[2:], 6)
    found = account.record("t", TOPIC_ID, 1, "3", 99)
    minute = RECEIVED_US // MINUTE_US
    assert {(count.source_id, count.event_type, count.minute, count.outcome): count.n for count in found.counts} == {
        ("source-1", "x", minute, "clean"): 2,
        ("source-1", "y", minute, "clean"): 1,
        ("source-1", "x", minute + 1, "clean"): 1,
        ("source-1", "x", minute, "duplicate"): 1,
        ("source-1", "received", minute, "quarantined"): 1,
    }
    assert [(one.offset, one.item, one.outcome, one.reason) for one in found.others] == [
        (4, 0, "duplicate", None), (5, 0, "quarantined", "not_an_object"),
    ]  # fmt: skip
    of = found.others[0].of
    assert of is not None
    assert (of.partition, of.offset, of.item) == (1, 0, 0)
    assert (found.first, found.next_offset, found.items, found.group) == (0, 6, 6, "3")
    assert account.reasons() == {one.reason: 1 for one in found.others if one.outcome == "quarantined"} != {}
    assert account.outcomes() == {"clean": 4, "duplicate": 1, "quarantined": 1}


def test_a_loss_before_the_first_record_of_a_transaction_widens_its_range() -> None:
    account = Account(5)
    account.add(Partition(source()).decide(record(b"{}", 5), record(b"{}", 6, delivery_id="2")), 7)
    account.lose(3, 7, 3)  # the log was cut at 3 and goes on from there
    found = account.record("t", TOPIC_ID, 1, "3", 99)
    assert (found.first, found.next_offset, found.items, found.lost) == (3, 3, 2, ((3, 7),))
