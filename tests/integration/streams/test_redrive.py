"""Redrives on a real broker: every item exactly one clean event, however often and wherever the job is killed."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from schemas.backing.registry import SYSTEM, PageRequest
from schemas.definitions.job import JobState
from schemas.wire import raw
from schemas.wire.raw import HB_REDRIVE
from tests.integration.streams.redrive_ground import TopicTable, redrive, registry
from tests.integration.streams.stack import STRICT, TOP, Read, Stage, read_to_end

KILLED = Path(__file__).with_name("redrive_killed.py")


@pytest.fixture
def stage(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Stage]:
    """Yield a stage whose registry file and job queue are there; its worker is the test's to start."""
    made = Stage(kafka_bootstrap, tmp_path)
    made.registry["schemas"].append([made.tenant, "s@1", STRICT])
    made.registry["schemas"].append([made.tenant, "s@2", "{}"])
    opened = registry(tmp_path)
    opened.migrate()
    opened.tenants.create(made.tenant, actor=SYSTEM)
    opened.close()
    yield made
    made.close()


def table(stage: Stage) -> TopicTable:
    return TopicTable(stage.bootstrap, [f"{stage.tenant}.quarantine.shop"], stage.partitions)


def broken(stage: Stage) -> str:
    """Send single events, batches and unreadable bodies that end in quarantine; return the source."""
    source = stage.add("shop", pins={"*": "s@1"})
    stage.start()
    for number in range(3):
        stage.send("shop", source, {"id": f"single{number}", "n": "x"}, partition=number % 2)
    stage.send("shop", source, [{"id": "a", "n": "x"}, {"id": "b", "n": 1}, {"id": "c", "n": "x"}], partition=1)
    stage.send("shop", source, {"id": "b", "n": 2}, partition=1)
    stage.send("shop", source, b"neither", partition=0)
    stage.flush()
    stage.await_items(["shop"], 8)
    assert stage.stop() == 0
    return source


def mend(stage: Stage) -> None:
    """Pin the events to a schema that all of them meet."""
    for source in stage.registry["sources"]:
        source["definition"]["pins"] = {"*": "s@2"}
    stage.save()


def written(stage: Stage) -> list[raw.RawMeta]:
    """Return what redrives have written into the raw topic."""
    topic = f"{stage.tenant}.webhook.shop"
    records: list[Any] = list(read_to_end(stage.bootstrap, [topic], stage.partitions))
    return [raw.decode(one.headers()) for one in records if HB_REDRIVE in dict(one.headers())]


def items(stage: Stage) -> int:
    """Return how many items the raw topic holds: 8 of `broken`, and those that redrives name."""
    return 8 + sum(len(meta.redrive.items) or 1 for meta in written(stage) if meta.redrive is not None)


def clean_once(found: Read) -> None:
    clean = Counter(event["vendorEventId"] for event in found.clean)
    assert clean == Counter(["single0", "single1", "single2", "a", "b", "c"])
    assert len({event["eventId"] for event in found.clean}) == len(found.clean)


def test_after_the_pin_is_mended_each_item_becomes_clean_once_and_redriving_again_adds_nothing(stage: Stage) -> None:
    broken(stage)
    mend(stage)
    job = redrive(stage.bootstrap, stage.folder, stage.tenant, table(stage))
    assert job.state is JobState.SUCCEEDED
    assert job.result == {
        "matching": 6, "redriven": 6, "gone": 0, "skipped": 0, "unreadable": 0, "records": 5, "notInTable": 0,
        "left": [],
    }  # fmt: skip
    first = redrive(stage.bootstrap, stage.folder, stage.tenant, table(stage))  # the stage has decided nothing yet
    assert first.result == job.result
    by_items = sorted(meta.redrive.items for meta in written(stage) if meta.redrive is not None)
    assert by_items == [()] * 8 + [(0, 2)] * 2, "of a batch what failed; all of what is one item or unreadable"
    assert all(meta.received_at_us == 1_800_000_000_000_000 for meta in written(stage))
    stage.start()
    found = stage.await_items(["shop"], items(stage))
    clean_once(found)
    resolved = [record.position for record in found.quarantine if record.kind == "resolved"]
    assert len(resolved) == len(set(resolved)) == 5, "all but the one that is unreadable still, and the conflict"
    again = redrive(stage.bootstrap, stage.folder, stage.tenant, table(stage))
    assert (again.result or {})["matching"] == 1
    distinct = redrive(stage.bootstrap, stage.folder, stage.tenant, table(stage), **{"as": "distinct"})
    assert (distinct.result or {})["redriven"] == 2
    found = stage.await_items(["shop"], items(stage))
    clean = Counter(event["vendorEventId"] for event in found.clean)
    conflict = clean.keys() - {"single0", "single1", "single2", "a", "b", "c"}
    assert [(text[:2], clean[text]) for text in conflict] == [("b#", 1)]
    assert stage.stop() == 0


def test_killed_at_any_step_and_taken_over_it_doubles_nothing(stage: Stage) -> None:
    broken(stage)
    mend(stage)
    config = {
        "bootstrap": stage.bootstrap, "folder": str(stage.folder), "tenant": stage.tenant,
        "topics": [f"{stage.tenant}.quarantine.shop"], "partitions": stage.partitions,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(KILLED), json.dumps(config)], env=os.environ | {"PYTHONPATH": str(TOP)}, check=False,
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [one["killed"] for one in told] == [True] * (len(told) - 1) + [False]
    assert len(told) > 20, "fewer steps than a redrive has"
    opened = registry(stage.folder)
    jobs = opened.jobs.list(stage.tenant, PageRequest(200)).items
    opened.close()
    assert len(jobs) == len(told)
    assert {(job.state, (job.result or {})["redriven"], (job.result or {})["matching"]) for job in jobs} == {
        (JobState.SUCCEEDED, 6, 6)
    }
    of_job = Counter(meta.redrive.job for meta in written(stage) if meta.redrive is not None)
    assert max(of_job.values()) <= 7, "at most the portion that was not stored is written twice"
    stage.start()
    clean_once(stage.await_items(["shop"], items(stage)))
    assert stage.stop() == 0


def test_what_the_raw_topic_does_not_hold_any_more_is_told_per_row(stage: Stage) -> None:
    broken(stage)
    mend(stage)
    topic = f"{stage.tenant}.webhook.shop"
    where = TopicPartition(topic, 1, 1)  # single1 goes, the batch stays
    stage.admin.delete_records([where])[where].result(20)
    job = redrive(stage.bootstrap, stage.folder, stage.tenant, table(stage))
    result = job.result or {}
    assert (result["redriven"], result["gone"]) == (5, 1)
    (left,) = result["left"]
    assert (left["position"]["partition"], left["position"]["offset"], left["outcome"]) == (1, 0, "gone")
    assert "retention" in left["why"]


def test_rows_of_a_source_that_is_gone_are_skipped_and_a_limit_is_kept(stage: Stage) -> None:
    broken(stage)
    limited = redrive(stage.bootstrap, stage.folder, stage.tenant, table(stage), limit=2)
    assert ((limited.result or {})["matching"], (limited.result or {})["redriven"]) == (2, 2)
    stage.registry["sources"] = []
    stage.save()
    job = redrive(stage.bootstrap, stage.folder, stage.tenant, table(stage))
    result = job.result or {}
    assert (result["redriven"], result["skipped"]) == (0, 6)
    assert "does not exist" in result["left"][0]["why"]
