"""Events that a source's lists keep out: one outcome of their own, counted with the others, and nowhere else."""

import json
from dataclasses import replace
from typing import Any

import pytest

from schemas.definitions.source import SourceDefinition
from schemas.reasons import Outcome
from schemas.vendors import adapter
from schemas.wire import ledger
from streams.account import Account
from streams.decide import Decision
from streams.emit import Place
from streams.judge import Judge
from streams.seen import Seen
from tests.unit.streams.made import PLACE, TOPIC_ID, Partition, record, snapshot, source

DENIED, CLEAN = Outcome.DROPPED_DENIED, Outcome.CLEAN


def body(**members: Any) -> bytes:
    return json.dumps(members).encode()


def outcomes(partition: Partition, *bodies: bytes) -> list[Outcome]:
    return [one.outcome for one in partition.decide(*(record(value, n) for n, value in enumerate(bodies)))]


@pytest.mark.parametrize(
    ("allow", "deny", "kind", "expected"),
    [
        ([], [], "order.new", CLEAN),
        (["order.*"], [], "order.new", CLEAN),
        (["order.*"], [], "orders", DENIED),
        (["order.*"], [], "Order.new", DENIED),
        ([], ["order.*"], "order.new", DENIED),
        ([], ["order.*"], "invoice", CLEAN),
        (["*"], ["*.test"], "order.test", DENIED),
        (["order.?ew"], [], "order.new", CLEAN),
        (["order.[nm]ew"], ["order.mew"], "order.mew", DENIED),
        (["order.new"], [], "order.new", CLEAN),
        ([], ["received"], "", DENIED),
    ],
)
def test_globs_over_the_event_type_and_deny_wins(
    allow: list[str], deny: list[str], kind: str, expected: Outcome
) -> None:
    partition = Partition(source(eventTypes={"allow": allow, "deny": deny}))
    assert outcomes(partition, body(id="a", **({"type": kind} if kind else {}))) == [expected]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("acme/shop", CLEAN),
        ("ACME/Shop", CLEAN),
        ("acme/shop-test", CLEAN),
        ("acme/other", DENIED),
        ("evil/acme/shop", DENIED),
        ("open/anything", CLEAN),
        (7, CLEAN),
    ],
)
def test_repositories_are_globs_over_the_payloads_own_name(name: Any, expected: Outcome) -> None:
    partition = Partition(source(eventTypes={"repositories": ["acme/Shop*", "open/*"]}))
    assert outcomes(partition, body(id="a", repository={"full_name": name})) == [expected]


def test_an_event_of_no_repository_is_ruled_by_its_type_alone() -> None:
    lists = {"repositories": ["acme/*"], "deny": ["member.*"]}
    partition = Partition(source(eventTypes=lists))
    bodies = (body(id="a", type="ping.org"), body(id="b", repository=None), body(id="c", type="member.added"))
    assert outcomes(partition, *bodies) == [CLEAN, CLEAN, DENIED]


def test_type_and_repository_must_both_be_taken() -> None:
    partition = Partition(source(eventTypes={"allow": ["push"], "repositories": ["acme/*"]}))
    ours, theirs = {"full_name": "acme/a"}, {"full_name": "evil/a"}
    bodies = [body(id=str(n), type=kind, repository=which)
              for n, (kind, which) in enumerate([("push", ours), ("push", theirs), ("issues", ours)])]  # fmt: skip
    assert outcomes(partition, *bodies) == [CLEAN, DENIED, DENIED]


def test_each_item_of_a_batch_is_decided_by_itself() -> None:
    partition = Partition(source(eventTypes={"deny": ["noise"]}))
    batch = json.dumps([{"id": "a"}, {"id": "b", "type": "noise"}, {"id": "c"}, 7]).encode()
    found = partition.decide(record(batch))
    assert [one.outcome for one in found] == [CLEAN, DENIED, CLEAN, Outcome.QUARANTINED]


def test_a_denied_event_is_no_record_is_not_remembered_and_is_clean_once_it_is_allowed() -> None:
    partition = Partition(source(eventTypes={"deny": ["noise"]}))
    emitted = partition.emit(record(body(id="a", type="noise"), 0), record(body(id="a", type="noise"), 1))
    assert [(one.decision.outcome, one.records, one.decision.write) for one in emitted] == [(DENIED, (), None)] * 2
    assert partition.known == {}
    partition.snapshot = snapshot(source())
    assert outcomes(partition, body(id="a", type="noise")) == [CLEAN]


def test_control_types_and_what_cannot_be_read_are_not_denied() -> None:
    partition = Partition(source(eventTypes={"allow": ["order.*"], "deny": ["*"]}))
    assert outcomes(partition, body(id="a", type="ping"), b"not json", b"[]") == [
        Outcome.CONTROL,
        Outcome.QUARANTINED,
        Outcome.EMPTY,
    ]


def test_denied_comes_before_the_duplicate_and_before_the_pinned_schema() -> None:
    partition = Partition(source(pins={"*": "s@1"}), s=b'{"properties": {"n": {"type": "integer"}}}')
    assert outcomes(partition, body(id="a", type="noise", n=1)) == [CLEAN]
    denying = source(pins={"*": "s@1"}, eventTypes={"deny": ["noise"]})
    partition.snapshot = replace(partition.snapshot, sources={denying.id: denying})
    assert outcomes(partition, body(id="a", type="noise", n=1), body(id="b", type="noise", n="x")) == [DENIED, DENIED]


def test_the_ledger_counts_denied_items_by_position_and_the_sum_is_exact() -> None:
    partition = Partition(source(eventTypes={"deny": ["noise"]}))
    decided = partition.decide(
        record(body(id="a"), 0, delivery_id="d0"),
        record(json.dumps([{"id": "b", "type": "noise"}, {"id": "c"}]).encode(), 1, delivery_id="d1"),
        record(body(id="d", type="noise"), 2, delivery_id="d2"),
    )
    account = Account(0)
    account.add(decided, 3)
    found = ledger.decode(ledger.encode(account.record("t", TOPIC_ID, 1, "0", 9)))
    assert account.outcomes() == {"clean": 2, "dropped_denied": 2}
    assert found.items == sum(count.n for count in found.counts) == 4
    assert {(count.event_type, count.outcome): count.n for count in found.counts}["noise", "dropped_denied"] == 2
    assert [(one.offset, one.item, one.outcome, one.reason) for one in found.others] == [
        (1, 0, "dropped_denied", None),
        (2, 0, "dropped_denied", None),
    ]


class Memory:
    """What is remembered, in memory."""

    def __init__(self) -> None:
        self.held: dict[bytes, Seen] = {}

    def fetch(self, keys: Any) -> None:
        """Nothing is read ahead."""

    def look(self, key: bytes) -> Seen | None:
        return self.held.get(key)

    def remember(self, key: bytes, state: Seen) -> None:
        self.held[key] = state


def github(action: str | None, repository: str | None) -> bytes:
    said: dict[str, Any] = {} if action is None else {"action": action}
    return body(**said, **({} if repository is None else {"repository": {"full_name": repository}}))


def decisions(lists: dict[str, Any], *sent: tuple[str, bytes]) -> list[Decision]:
    """Decide deliveries of GitHub, (event, body) each, by GitHub's own adapter."""
    made = source()
    given = {"platform": "github", "auth": {"type": "none"}, "eventTypes": lists}
    view = replace(made, platform="github", definition=SourceDefinition.model_validate(given))
    records = [
        record(value, number, delivery_id=str(number), event_id=None,
               headers=(("Content-Type", "application/json"), ("X-GitHub-Event", event),
                        ("X-GitHub-Delivery", f"guid-{number}")))
        for number, (event, value) in enumerate(sent)
    ]  # fmt: skip
    place: Place = PLACE
    return [one.decision for one in Judge(adapter).records(records, 0, place, snapshot(view), Memory(), 5)]


def test_githubs_types_and_repositories() -> None:
    found = decisions(
        {"allow": ["push", "pull_request.*"], "deny": ["pull_request.labeled"], "repositories": ["acme/*"]},
        ("push", github(None, "acme/shop")),
        ("push", github(None, "evil/shop")),
        ("pull_request", github("opened", "Acme/Shop")),
        ("pull_request", github("labeled", "acme/shop")),
        ("issues", github("opened", "acme/shop")),
        ("ping", github(None, "evil/shop")),
        ("push", github(None, None)),
    )
    assert [one.outcome for one in found] == [CLEAN, DENIED, CLEAN, DENIED, DENIED, Outcome.CONTROL, CLEAN]
