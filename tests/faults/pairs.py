"""What must be equal when all is drained: topic and table, clean events and runs, ledger and minutes.

Lives here: counting both sides. Not here: comparing them (rules.py).
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from schemas.ids import run_id
from tests.faults.history import Position
from tests.faults.tables import Lake
from tests.faults.topics import Everything
from tests.faults.traffic import PLATFORMS

Both = tuple[Counter[Any], Counter[Any]]
"""What must be there, what is there."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """An assignment of the run: its id, the role or glob that it takes, its target."""

    id: str
    role: str
    target: str


def pairs(
    found: Everything, lake: Lake, tenant: str, quarantine: list[dict[str, Any]], ledger: list[dict[str, Any]],
    assigned: Sequence[Assigned], minutes: Mapping[str, Mapping[str, int]] | None,
) -> dict[str, Both]:  # fmt: skip
    """Return both sides of each, by name; no minutes where they cannot be compared (None)."""
    made = own_tables(lake, tenant, quarantine, ledger) | {"runs": runs(found, tenant, assigned)}
    return made if minutes is None else made | {"minutes": counted_minutes(ledger, minutes)}


def own_tables(
    lake: Lake, tenant: str, quarantine: list[dict[str, Any]], ledger: list[dict[str, Any]]
) -> dict[str, Both]:
    """Return what is in the topics and in the tables of quarantine and ledger."""
    rows = lake.rows(
        tenant, "hookberg_quarantine", "kind", "event_id", "payload",
        *(f"{place}_{part}" for place in ("position", "by") for part in ("topic", "partition", "offset", "item")),
    )  # fmt: skip
    counts = lake.rows(tenant, "hookberg_ledger", "topic_id", "partition", "first_offset", "outcome", "n", "minute")
    return {
        "quarantine": (
            Counter(
                (d["kind"], d["eventId"], d["payload"], _at(d["position"]), d["by"] and _at(d["by"]))
                for d in quarantine
            ),
            Counter(
                (row["kind"], row["event_id"], row["payload"], _in(row, "position"), _in(row, "by")) for row in rows
            ),
        ),
        "ledger": (_counted(ledger), _rows_counted(counts)),
    }


def runs(found: Everything, tenant: str, assigned: Sequence[Assigned]) -> Both:
    """Return the runs that clean events must have, one for each assignment of their role, and those there are."""
    due: Counter[Any] = Counter()
    for platform in PLATFORMS:
        for record in found.of(f"{tenant}.event.{platform}"):
            event = json.loads(record.value)
            role = f"{event['sourceKind']}.{re.sub('[^a-z0-9]+', '_', event['eventType'].lower())}"
            due.update(
                (one.target, run_id(event["eventId"], one.id), event["eventId"])
                for one in assigned
                if fnmatchcase(role, one.role)
            )
    there: Counter[Any] = Counter()
    for target in {one.target for one in assigned}:
        for record in found.of(f"{tenant}.run.{target}"):
            run = json.loads(record.value)
            there[target, run["runId"], run["eventId"]] += 1
    return due, there


def counted_minutes(ledger: list[dict[str, Any]], minutes: Mapping[str, Mapping[str, int]]) -> Both:
    """Return the sums of the ledger by source and outcome, and those of the minutes."""
    due: Counter[Any] = Counter()
    for record in ledger:
        for count in record["counts"]:
            due[count["sourceId"], count["outcome"]] += count["n"]
    there = Counter({(source, name): n for source, outcomes in minutes.items() for name, n in outcomes.items()})
    return due, there


def _in(row: dict[str, Any], place: str) -> Position | None:
    if row[f"{place}_topic"] is None:
        return None
    return Position(*(row[f"{place}_{part}"] for part in ("topic", "partition", "offset", "item")))


def _counted(ledger: list[dict[str, Any]]) -> Counter[Any]:
    told: Counter[Any] = Counter()
    for record in ledger:
        where = (record["topicId"], record["partition"])
        for count in record["counts"]:
            told[*where, record["from"], count["minute"], count["outcome"]] += count["n"]
        for span in record["lost"]:
            told[*where, span["from"], None, "lost"] += span["to"] - span["from"]
    return told


def _rows_counted(rows: list[dict[str, Any]]) -> Counter[Any]:
    told: Counter[Any] = Counter()
    for row in rows:
        minute = row["minute"] and int(row["minute"].timestamp()) // 60
        told[row["topic_id"], row["partition"], row["first_offset"], minute, row["outcome"]] += row["n"]
    return +told


def _at(wire: dict[str, Any]) -> Position:
    return Position(wire["topicId"], wire["partition"], wire["offset"], wire["item"])
