"""kill -9 at any moment, with the disk kept or wiped: nothing is lost, nothing is doubled (rules 6 to 8)."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from schemas.wire.position import Position
from tests.house.polling import wait_until
from tests.integration.streams.stack import STRICT, Read, Stage, read_to_end

_WIPED = (False, True, False, True)
_PER_ROUND = 4_000
_IDS = 6_000


@pytest.fixture
def stage(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka_bootstrap, tmp_path)
    yield made
    made.close()


def post(stage: Stage, source: str, draw: random.Random) -> None:
    """Send deliveries of 1 to 4 items, many of them seen before."""
    for _ in range(_PER_ROUND):
        items: list[dict[str, Any]] = []
        for _ in range(draw.choice((1, 1, 1, 4))):
            number = draw.randrange(_IDS)
            items.append({"id": f"e{number}", "n": "bad" if number % 7 == 0 else number, "attempt": draw.random()})
        partition = int(items[0]["id"][1:]) % stage.partitions
        stage.send("shop", source, items if len(items) > 1 else items[0], partition)
    stage.flush()


def items_on(stage: Stage) -> Counter[tuple[int, int]]:
    """Return how many items each (partition, offset) of the raw topic holds."""
    found: Counter[tuple[int, int]] = Counter()
    for message in read_to_end(stage.bootstrap, [f"{stage.tenant}.webhook.shop"], stage.partitions):
        body = json.loads(message.value() or b"")
        found[message.partition() or 0, message.offset() or 0] = len(body) if isinstance(body, list) else 1
    return found


def outcomes_by_position(found: Read) -> Counter[tuple[int, int, int]]:
    by_position: Counter[tuple[int, int, int]] = Counter()
    for event in found.clean:
        at = Position.from_wire(event["position"])
        by_position[at.partition, at.offset, at.item] += 1
    for record in found.ledger:
        for other in record.others:
            by_position[record.partition, other.offset, other.item] += 1
    return by_position


def went_on(stage: Stage, before: int) -> bool:
    return len(stage.read([]).ledger) > before


@pytest.mark.faults
def test_a_killed_worker_loses_and_doubles_nothing(stage: Stage) -> None:
    draw = random.Random(20260101)
    stage.registry["schemas"].append([stage.tenant, "s@1", STRICT])
    source = stage.add("shop", pins={"*": "s@1"})
    for wipe in _WIPED:
        post(stage, source, draw)
        before = len(stage.read([]).ledger)
        stage.start()
        wait_until(partial(went_on, stage, before), 30, what="another transaction")
        stage.kill()
        if wipe:
            shutil.rmtree(stage.folder / "state", ignore_errors=True)
    stage.start()
    raw = items_on(stage)
    found = stage.await_items(["shop"], sum(raw.values()), 60)
    assert stage.stop() == 0

    assert outcomes_by_position(found) == {
        (partition, offset, item): 1 for (partition, offset), n in raw.items() for item in range(n)
    }
    ids = Counter(event["eventId"] for event in found.clean)
    assert max(ids.values()) == 1
    bodies = {record.event_id for record in found.quarantine}
    orphans = [
        other
        for record in found.ledger
        for other in record.others
        if other.outcome == "duplicate" and other.event_id not in ids and other.event_id not in bodies
    ]
    assert orphans == []
    failed = Counter(record.event_id for record in found.quarantine if record.kind == "failed")
    assert max(failed.values()) == 1
    ranges: dict[int, list[tuple[int, int]]] = {}
    for record in found.ledger:
        ranges.setdefault(record.partition, []).append((record.first, record.next_offset))
    for spans in ranges.values():
        spans.sort()
        assert all(left[1] == right[0] for left, right in pairwise(spans))
    assert sum(found.outcomes().values()) == sum(raw.values()) == sum(record.items for record in found.ledger)
