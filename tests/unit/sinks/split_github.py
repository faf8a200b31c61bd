"""GitHub's published examples as a split stream: `python -m tests.unit.sinks.split_github FOLDER [EVENT]...`.

Prints one JSON line: tables, rows, payloads that are not rebuilt equal, members without a value in their column,
records read in all. Without events: all of them, one table per `event.action`. May not live here: assertions.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from sinks.split.plan import Plan
from tests.integration.sinks.world import wire_event
from tests.system import github, payload, rebuild
from tests.unit.sinks.ground import TOPIC
from tests.unit.sinks.split_ground import SplitGround


def clean(events: set[str]) -> list[github.Delivery]:
    """Return the examples that meet their schemas, of these events, or of all."""
    judge, found = github.Judge(), []
    every = [one for one in github.examples() if one.event != "ping" and (not events or one.event in events)]
    pins = github.pins(one.event_type for one in every)
    plan = plan_of(pins)
    for one in every:
        subjects = [name for name, _text in plan.pinned(one.event_type)]
        if subjects and not judge.faults(subjects[0], one.body):
            found.append(one)
    return found


def plan_of(pins: dict[str, str]) -> Plan:
    """Return what the stream knows of the source's pins; subjects are called as their definitions."""
    texts = {name: json.dumps(github.bundle(name)).encode() for name in set(pins.values())}
    return Plan((), (tuple(sorted(pins.items())),), tuple(sorted(texts.items())))


def run(folder: Path, events: set[str]) -> dict[str, Any]:
    """Land the examples and look at every table."""
    sent = clean(events)
    ground = SplitGround(folder, per_poll=50)
    ground.members = {"maxColumns": 2000}  # pull requests have more than the 500 of the default
    ground.deadline_s, ground.look_s = 600.0, 0.01 if events else 5.0
    ground.plan = plan_of(github.pins(one.event_type for one in sent))
    ground.log.make(TOPIC)
    ground.log.put(*(wire_event(n, one.body, kind=one.event_type) for n, one in enumerate(sent)))
    before = os.times()
    made = ground.run()
    after = os.times()
    wrong: list[str] = []
    beside: dict[str, set[str]] = {}
    tables = ground.tables()
    for kind, name in tables.items():
        loaded = ground.table(name)
        rows = loaded.scan().to_arrow().to_pylist()
        if not rows:
            continue
        rebuilder = rebuild.Rebuilder(loaded.schema())
        for row in rows:
            body = payload.without_nulls(payload.parse(sent[int(row["source_identifier"])].body))
            found = payload.difference(body, payload.without_nulls(rebuilder.payload(row)))
            wrong += [f"{row['event_type']} {found}"] if found or row["event_type"] != kind else []
            held = {**json.loads(row["_extra"] or "{}"), **json.loads(row["_raw"] or "{}")}
            if lost := [pointer for pointer in held if _column(row["payload"], pointer) is None]:
                beside.setdefault(kind, set()).update(lost)
    ground.close()
    return {
        "tables": len(tables) - 1,
        "rows": sum(map(len, ground.rows().values())),
        "sent": len(sent),
        "types": len({one.event_type for one in sent}),
        "wrong": wrong,
        "beside": {kind: sorted(found) for kind, found in beside.items()},
        "read": sum(count for _first, count in ground.polls),
        "cpu_s": round(after.user + after.system - before.user - before.system, 1),
        "failed": made.status().reason,
    }


def _column(row: Any, pointer: str) -> Any:
    """Return the value of a member's column; one that has it is in `_raw` for the form of its text only (a time)."""
    for step in pointer.split("/")[1:]:
        row = row.get(step) if isinstance(row, dict) else None
    return row


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(Path(sys.argv[1]), set(sys.argv[2:]))) + "\n")
