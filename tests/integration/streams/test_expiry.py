"""Ids live and expire by partition time, the running maximum of broker time, and by no other clock (rule 12)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import seen
from streams.engine.recovery import CHANGELOG_PARTITIONS, changelog
from tests.house.polling import wait_until
from tests.integration.streams.stack import Stage, read_to_end

DAY_MS = 86_400_000
LONG_AGO_MS = 1_500_000_000_000
"""Years before any wall clock that runs this."""


@pytest.fixture
def stage(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka_bootstrap, tmp_path, commit_interval_s=0.6)  # the sweep meets an open transaction soon
    yield made
    made.close()


def tombstones(stage: Stage) -> dict[bytes, int]:
    """Return the ids that the changelog removes, with how many records of them come before that."""
    written, removed = dict[bytes, int](), dict[bytes, int]()
    for message in read_to_end(stage.bootstrap, [changelog(stage.group)], CHANGELOG_PARTITIONS):
        key = message.key() or b""
        if key[:1] == seen.PREFIX and message.value() is None:
            removed[key] = written.get(key, 0)
        else:
            written[key] = written.get(key, 0) + 1
    return removed


def test_an_id_expires_by_partition_time_and_is_removed_by_a_later_transaction(stage: Stage) -> None:
    source = stage.add("shop", raw={"message.timestamp.type": "CreateTime"})
    stage.start()

    def send(name: str, days: float, items: int) -> dict[str, int]:
        stage.send("shop", source, {"id": name}, at_ms=LONG_AGO_MS + int(days * DAY_MS))
        stage.flush()
        return dict(stage.await_items(["shop"], items).outcomes())

    assert send("a", 0, 1) == {"clean": 1}
    assert send("a", 6.9, 2) == {"clean": 1, "duplicate": 1}  # the wall clock would have forgotten it long ago
    assert tombstones(stage) == {}
    assert send("other", 7.1, 3) == {"clean": 2, "duplicate": 1}
    number = 0

    def swept() -> dict[bytes, int]:
        nonlocal number
        number += 1
        stage.send("shop", source, {"id": f"tick {number}"}, at_ms=LONG_AGO_MS + int(7.1 * DAY_MS))
        stage.flush()
        return tombstones(stage)

    removed = wait_until(swept, 40, every_s=0.3, what="a tombstone")
    assert list(removed.values()) == [1]
    items = sum(record.items for record in stage.read(["shop"]).ledger)
    assert send("a", 7.1, max(items, 3 + number) + 1)["clean"] >= 3
    assert sum(event["vendorEventId"] == "a" for event in stage.read(["shop"]).clean) == 2
    assert stage.stop() == 0
