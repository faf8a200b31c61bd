"""One run record for each clean event and assignment, whatever ends the stage and whichever target vanishes."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from sinks.read.audit import Known, Question, audit
from tests.house.polling import wait_until
from tests.integration.streams.stack import Stage, read_to_end
from tests.integration.streams.worker import WallClock, snapshot

EVENTS = 3_000


@pytest.fixture
def stage(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka_bootstrap, tmp_path)
    yield made
    made.close()


def send(stage: Stage, source: str, first: int, count: int) -> None:
    """Send events of two types, each twice, a third of them without a role."""
    for number in range(first, first + count):
        body = {"id": f"e{number}", "type": ("order.new", "order.paid", "other")[number % 3]}
        for _ in range(2):
            stage.send("shop", source, body, number % stage.partitions)
    stage.flush()


def runs(stage: Stage, target: str) -> list[dict[str, Any]]:
    """Return the run records of a target that readers of what is committed see, in the order of each partition."""
    return [json.loads(one.value() or b"") | {"_partition": one.partition()}
            for one in read_to_end(stage.bootstrap, [f"{stage.tenant}.run.{target}"], stage.partitions)]  # fmt: skip


def went_on(stage: Stage, before: int) -> bool:
    return sum(record.items for record in stage.read([]).ledger) > before


def made_by(found: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((run["eventId"], run["assignmentId"]) for run in found)


def test_every_clean_event_and_assignment_has_one_run_though_the_stage_is_killed_and_a_target_vanishes(
    stage: Stage,
) -> None:
    source = stage.add("shop")
    every, paid, gone = stage.assign("*.order_*", "a"), stage.assign("webhook.shop.order_paid", "a"), "gone"
    stage.assign("webhook.*", gone)
    send(stage, source, 0, EVENTS)
    stage.start(transaction_max_records=1_000)
    wait_until(partial(went_on, stage, 0), 30, what="a first transaction")
    stage.kill()
    before = sum(record.items for record in stage.read([]).ledger)
    assert before < 2 * EVENTS
    stage.admin.delete_topics([f"{stage.tenant}.run.{gone}"])[f"{stage.tenant}.run.{gone}"].result(20)
    send(stage, source, EVENTS, 60)
    stage.start()
    found = stage.await_items(["shop"], 2 * (EVENTS + 60), 60)
    assert stage.stop() == 0

    assert "run_topic_is_gone" in stage.log()
    assert found.outcomes() == {"clean": EVENTS + 60, "duplicate": EVENTS + 60}
    wanted = Counter((event["eventId"], every) for event in found.clean if event["eventType"].startswith("order."))
    wanted += Counter((event["eventId"], paid) for event in found.clean if event["eventType"] == "order.paid")
    written = runs(stage, "a")
    assert made_by(written) == wanted
    assert len({run["runId"] for run in written}) == len(written)
    values = {event["eventId"]: event for event in found.clean}
    for run in written:
        event = values[run["eventId"]]
        assert run["event"] == {name: value for name, value in event.items() if not name.startswith("_")}
        assert (run["position"], run["eventPartition"]) == (event["position"], event["_partition"])
    shown, nothing = snapshot(stage.registry, 1), cast("Any", None)
    report = audit(
        Question((stage.tenant,)),
        Known(shown, {}),
        {"bootstrap.servers": stage.bootstrap},
        nothing,
        WallClock(),
        lambda *_: None,
    )
    assert [str(found) for row in report.rows() for found in row.findings.in_order()] == []
    numbers = Counter(assignment for _, assignment in made_by(written))
    assert (
        {row.assignment: row.runs for row in report.runs}
        == numbers
        == {row.assignment: row.events for row in report.runs}
    )
    chats: dict[str, set[int]] = {}
    for run in written:
        chats.setdefault(run["chatId"], set()).add(run["_partition"])
    assert all(len(partitions) == 1 for partitions in chats.values())
