"""Runs against clean events: what an audit says of each way in which they can differ."""

import json
from typing import Any

from schemas.wire.position import Position
from sinks.audit.marks import of_id, pack
from sinks.audit.report import RunRow
from sinks.audit.runs import Clean, Runs

TOPIC_ID, RAW_ID = "RUNSRUNSRUNSRUNSRUNS11", "RAWRAWRAWRAWRAWRAWRAW1"
WHERE: Clean = ("acme.event.shop", 0, RAW_ID)


def run(offset: int, assignment: str = "a", role: str = "webhook.shop.*", **more: Any) -> bytes:
    position = {"topicId": RAW_ID, "partition": 0, "offset": offset, "item": 0}
    made = {"assignmentId": assignment, "assignedRole": role, "eventId": f"e{offset}", "eventTopic": WHERE[0],
            "eventPartition": 0, "position": position, "event": None}  # fmt: skip
    return json.dumps(made | more).encode()


def audited(
    written: list[bytes], events: range, alive: tuple[str, ...] = ("a",), cut: tuple[int, ...] = (), floor: int = 0
) -> list[RunRow]:
    runs = Runs("acme", dict.fromkeys(alive, "mine"))
    for number, value in enumerate(written):
        runs.take("acme.run.agent", TOPIC_ID, list(cut), (number % 2, number), value)
    runs.sort()
    for offset in events:
        runs.meet(WHERE, pack(offset, 0), of_id(f"e{offset}"), "webhook.shop", "order")
        runs.meet(WHERE, pack(offset, 1), of_id(f"x{offset}"), "webhook.chat", "order")
    return runs.done({WHERE: floor})


def said(rows: list[RunRow]) -> list[str]:
    return [str(finding) for row in rows for finding in row.findings.in_order()]


def at(offset: int) -> Position:
    return Position(RAW_ID, 0, offset, 0)


def test_from_its_first_run_on_an_assignment_has_one_for_each_event() -> None:
    (row,) = rows = audited([run(n) for n in range(3, 8)], range(8))
    assert (said(rows), row.runs, row.events, row.assignment, row.role) == ([], 5, 5, "mine", "webhook.shop.*")


def test_an_event_without_its_run_is_named() -> None:
    rows = audited([run(n) for n in (2, 3, 6, 7)], range(8))
    assert said(rows) == [f"{at(4)}: has no run of assignment mine, later ones have"]


def test_runs_that_cease_are_named_while_the_assignment_is_there() -> None:
    written = [run(n) for n in range(3)]
    assert said(audited(written, range(8)))[0].startswith(f"{at(3)}: has no run of assignment mine, which is there")
    assert said(audited(written, range(8), alive=())) == []


def test_two_runs_of_one_event_are_named() -> None:
    assert said(audited([run(0), run(1), run(1), run(2)], range(3))) == [f"{at(1)}: has two runs of assignment mine"]


def test_a_run_of_no_clean_event_is_named() -> None:
    other = run(1, eventId="another")
    found = said(audited([run(0), other, run(2)], range(3)))
    assert found == [f"{at(1)}: has no run of assignment mine, later ones have", f"{at(1)}: has a run and is not clean"]


def test_runs_behind_what_was_read_of_the_clean_topic_are_pending() -> None:
    assert said(audited([run(n) for n in range(9)], range(5))) == []


def test_runs_of_events_that_retention_has_removed_are_left_out() -> None:
    written = [run(n) for n in range(6)]
    assert said(audited(written, range(3, 6), floor=3)) == []
    assert said(audited(written, range(3, 6)))[0] == f"{at(0)}: has a run and is not clean"


def test_events_before_a_run_partition_that_lost_its_beginning_are_left_out() -> None:
    written = [run(0), run(5), run(2), run(7)]  # partition 1 begins with the run of 5
    events = [0, 2, 3, 5, 7]
    runs = Runs("acme", {"a": "mine"})
    for number, value in enumerate(written):
        runs.take("acme.run.agent", TOPIC_ID, [1], (number % 2, number), value)
    runs.sort()
    for offset in events:
        runs.meet(WHERE, pack(offset, 0), of_id(f"e{offset}"), "webhook.shop", "order")
    assert said(runs.done({WHERE: 0})) == []
    assert said(audited([run(0), run(2)], range(3), cut=(2,))) == []


def test_what_is_no_run_in_a_run_topic_is_named() -> None:
    far = run(0, position={"topicId": RAW_ID, "partition": 0, "offset": -1, "item": 0})
    assert said(audited([b"noise", run(0), far], range(1))) == [
        f"{TOPIC_ID}/0/0/0: is in a run topic and is no run", f"{TOPIC_ID}/0/2/0: is a run of an impossible position",
    ]  # fmt: skip


def test_assignments_are_told_apart_and_take_their_own_roles() -> None:
    written = [run(0), run(0, "b", "webhook.shop.paid"), run(1), run(2)]
    rows = audited(written, range(3), alive=("a", "b"))
    assert [(row.role, row.runs, row.events) for row in rows] == [("webhook.shop.*", 3, 3), ("webhook.shop.paid", 1, 0)]
