"""Roles: which assignments take an event, what their run records say, and that only what becomes clean makes any."""

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import ids
from schemas.contracts import Library
from schemas.definitions.role import is_glob, most_runs, role_of, takes
from schemas.definitions.view import RoleView, Snapshot
from schemas.reasons import Outcome
from schemas.topics import range_partition
from schemas.wire.raw import RawRecord, Redrive
from streams import roles as roles_module
from streams.emit import Decided, Limits, Record
from streams.judge import Judge
from streams.roles import MAX_TYPES, Roles, Target
from streams.seen import Seen
from tests.unit.streams.made import PLACE, TOPIC_ID, VENDOR, record, snapshot, source

AGENT = Target("acme.run.agent", 8, 4, 1 << 20)
ASSIGNED = st.sampled_from(
    [
        "webhook.shop.a",
        "webhook.*",
        "*a",
        "webhook.sh?p.[ab]",
        "*.b",
        "webhook.x.a_b",
        "webhook.shop.*",
        "webhook.shop.x.?",
    ]
)
TYPES = st.text(st.characters(codec="utf-8"), max_size=12)


def view(role: str, number: int = 1, target: str = "agent") -> RoleView:
    return RoleView(f"id-{number}", f"name-{number}", role, target, f"acme.run.{target}")


def roles(*views: RoleView, slot: int = 0, target: Target = AGENT) -> Roles:
    return Roles("acme", slot, views, {target.topic: target, "acme.run.other": target._replace(topic="acme.run.other")})


class Known:
    """What is remembered, in memory."""

    def __init__(self) -> None:
        self.states: dict[bytes, Seen] = {}

    def fetch(self, keys: Any) -> None:
        pass

    def look(self, key: bytes) -> Seen | None:
        return self.states.get(key)

    def remember(self, key: bytes, state: Seen) -> None:
        self.states[key] = state


def judged(
    given_: Roles | None, *records: RawRecord, known: Known | None = None, shown: Snapshot | None = None, **more: Any
) -> list[Decided]:
    place = PLACE._replace(**more)
    judge = Judge(lambda _platform: VENDOR, Library())
    return judge.records(records, 0, place, shown or snapshot(source()), known or Known(), 5, given_)


def runs(decided: Decided) -> list[Record]:
    return [one for one in decided.records if ".run." in one.topic]


def values(decided: Decided) -> list[dict[str, Any]]:
    return [json.loads(one.value or b"") for one in runs(decided)]


def test_a_run_tells_the_event_the_role_and_the_assignment_under_its_chat() -> None:
    made = roles(view("webhook.shop.order_new"), slot=1)
    (decided,) = judged(made, record(b'{"id":"a","type":"Order - New!","n":1.50}', 7))
    clean, run = decided.records
    event_id = json.loads(clean.value or b"")["eventId"]
    found = json.loads(run.value or b"")
    assert (run.value or b"").endswith(b'"event":' + (clean.value or b"") + b"}")
    assert found.pop("event")["payload"] == {"id": "a", "type": "Order - New!", "n": 1.5}
    assert found == {
        "runId": ids.run_id(event_id, "id-1"),
        "chatId": ids.chat_id("acme", "webhook.shop.order_new", "a"),
        "tenantId": "acme", "role": "webhook.shop.order_new", "target": "agent", "assignmentId": "id-1",
        "assignedRole": "webhook.shop.order_new", "eventId": event_id, "eventTopic": "acme.event.shop",
        "eventPartition": 1, "position": {"topicId": TOPIC_ID, "partition": 1, "offset": 7, "item": 0},
        "eventBytes": len(clean.value or b""),
    }  # fmt: skip
    assert run.key.decode() == found["chatId"]
    assert run.partition == range_partition(run.key, 1, 4, 8) >= 4
    assert {uuid.UUID(found[name]).version for name in ("runId", "chatId")} == {5}


def test_each_assignment_that_takes_an_event_makes_one_run_also_for_the_same_target() -> None:
    made = roles(view("webhook.shop.*"), view("webhook.shop.paid", 2), view("*", 3, "other"), view("webhook.x.*", 4))
    (decided,) = judged(made, record(b'{"id":"a","type":"paid"}'))
    found = values(decided)
    assert [(each["assignmentId"], each["target"]) for each in found] == [
        ("id-1", "agent"), ("id-2", "agent"), ("id-3", "other"),
    ]  # fmt: skip
    assert len({each["runId"] for each in found}) == 3
    assert {each["chatId"] for each in found} == {found[0]["chatId"]}
    assert [each["assignedRole"] for each in found] == ["webhook.shop.*", "webhook.shop.paid", "*"]


def test_only_what_becomes_clean_makes_runs_and_once() -> None:
    known, made = Known(), roles(view("*"))
    pinned = source(pins={"bad": "s@1"}, eventTypes={"deny": ["denied"]})
    strict = snapshot(pinned, s=b'{"required":["never"]}')
    bodies = (
        b'{"id":"a","type":"t"}', b'{"id":"a","type":"t"}', b'{"id":"a","type":"t","x":1}', b'{"id":"b","type":"bad"}',
        b"{not json", b"[]", b'{"type":"ping"}', b'{"id":"c","type":"denied"}',
    )  # fmt: skip
    decided = judged(made, *(record(body, n) for n, body in enumerate(bodies)), known=known, shown=strict)
    assert [(one.decision.outcome, len(runs(one))) for one in decided] == [
        (Outcome.CLEAN, 1), (Outcome.DUPLICATE, 0), (Outcome.QUARANTINED, 0), (Outcome.QUARANTINED, 0),
        (Outcome.QUARANTINED, 0), (Outcome.EMPTY, 0), (Outcome.CONTROL, 0), (Outcome.DROPPED_DENIED, 0),
    ]  # fmt: skip
    again = Redrive(TOPIC_ID, 1, 3, "job", (0,), event_ids=(decided[3].decision.event_id,))
    redriven = [record(bodies[3], 8 + n, redrive=again) for n in range(2)]
    mended = judged(made, *redriven, known=known, shown=snapshot(source()))
    assert [(one.decision.outcome, len(runs(one))) for one in mended] == [(Outcome.CLEAN, 1), (Outcome.DUPLICATE, 0)]
    assert [one.topic for one in mended[0].records] == [PLACE.event, PLACE.quarantine, AGENT.topic]


def test_without_assignments_nothing_is_different() -> None:
    body = b'{"id":"a","type":"t"}'
    assert judged(None, record(body))[0].records == judged(roles(view("webhook.x.*")), record(body))[0].records


def test_an_assignment_whose_topic_is_not_there_makes_no_runs_and_the_event_is_clean() -> None:
    made = Roles("acme", 0, [view("*"), view("*", 2, "gone")], {AGENT.topic: AGENT})
    (decided,) = judged(made, record(b'{"id":"a"}'))
    assert decided.decision.outcome is Outcome.CLEAN
    assert [each["target"] for each in values(decided)] == ["agent"]


def test_an_event_that_does_not_fit_is_left_out_of_its_run_and_says_where_it_stands() -> None:
    made = roles(view("*"), target=AGENT._replace(limit=4_000))
    (decided,) = judged(made, record(b'{"id":"a","x":"' + b"y" * 5_000 + b'"}', 7))
    (found,) = values(decided)
    clean = decided.records[0]
    assert (found["event"], found["eventBytes"]) == (None, len(clean.value or b""))
    assert (found["eventTopic"], found["eventPartition"], found["eventId"]) == (
        clean.topic, clean.partition, clean.key.decode(),
    )  # fmt: skip


def test_a_topic_that_takes_no_run_at_all_stops_nothing() -> None:
    (decided,) = judged(roles(view("*"), target=AGENT._replace(limit=100)), record(b'{"id":"a"}'))
    assert (decided.decision.outcome, len(decided.records)) == (Outcome.CLEAN, 1)


def test_the_runs_of_one_delivery_hold_a_bounded_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles_module, "EVENT_BYTES", 10_000)
    items = b"[" + b",".join(b'{"id":"%d","x":"%s"}' % (n, b"y" * 500) for n in range(10)) + b"]"
    made = roles(view("*"), view("webhook.*", 2))
    decided = judged(made, record(items), record(b'{"id":"alone","x":"' + b"y" * 500 + b'"}', 1))
    assert [each["event"] is None for one in decided for each in values(one)] == [True] * 20 + [False] * 2


def test_an_event_too_large_for_its_own_topic_makes_no_run() -> None:
    limits = Limits(4_000, 4_000)
    (decided,) = judged(roles(view("*")), record(b'{"id":"a","x":"' + b"y" * 5_000 + b'"}'), limits=limits)
    assert (decided.decision.outcome, runs(decided)) == (Outcome.QUARANTINED, [])


def test_what_was_matched_is_remembered_up_to_a_bound() -> None:
    made = roles(view("webhook.shop.a"))
    first = made.taken("webhook.shop", "a")
    assert made.taken("webhook.shop", "a") is first
    for number in range(MAX_TYPES + 5):
        assert made.taken("webhook.shop", f"x{number}") is None
    assert len(made._taken) <= MAX_TYPES
    assert made.taken("webhook.shop", "a") == first


@given(st.lists(ASSIGNED),
       st.sampled_from(["webhook.shop", "webhook.x"]), TYPES | st.sampled_from(["a", "A.B", "b"]))  # fmt: skip
def test_what_takes_an_event_is_what_rest_says_of_it(assigned: list[str], kind: str, event_type: str) -> None:
    views = [view(role, n) for n, role in enumerate(dict.fromkeys(assigned))]
    found = roles(*views).taken(kind, event_type)
    role = role_of(kind, event_type)
    wanted = sorted(each.id for each in views if takes(each.role, role))
    assert [each.view.id for each in found.assignments] == wanted if found else wanted == []
    assert found is None or found.role == role


@given(st.lists(ASSIGNED, max_size=12), st.sampled_from(["webhook.shop", "webhook.x", "webhook.shop.x"]),
       st.sampled_from(["a", "b", "a_b"]))  # fmt: skip
def test_no_event_meets_more_assignments_than_they_are_counted_for(assigned: list[str], kind: str, slug: str) -> None:
    role = role_of(kind, slug)
    assert sum(takes(each, role) for each in assigned) <= most_runs(assigned)


def test_globs_of_other_source_kinds_do_not_count() -> None:
    assert most_runs(["webhook.a.*"] * 3 + ["webhook.b.*"] * 2 + ["webhook.b.x"] * 2 + ["webhook.b.y", "*"]) == 5
    assert most_runs([]) == 0


@given(TYPES)
def test_a_role_ends_with_a_slug(event_type: str) -> None:
    role = role_of("webhook.shop", event_type)
    slug = role.removeprefix("webhook.shop.")
    assert slug == slug.strip("_")
    assert slug
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert not is_glob(role)


@pytest.mark.parametrize(
    ("event_type", "slug"),
    [("Pull Request / Opened!", "pull_request_opened"), ("__a--b__", "a_b"), ("äöü", "unnamed"), ("", "unnamed"),
     ("x" * 95 + "-y", "x" * 95)],
)  # fmt: skip
def test_slugs(event_type: str, slug: str) -> None:
    assert role_of("webhook.shop", event_type) == f"webhook.shop.{slug}"
