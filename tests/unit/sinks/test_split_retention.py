"""`retentionDays` of a split stream: each table loses its own old rows and counts them; together the sums hold."""

import time
from pathlib import Path

from deploy.processes.clock import SystemClock
from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import StreamView
from sinks.audit.reading import CleanReading
from sinks.audit.report import sum_of
from sinks.audit.tables import CleanTopic, check
from sinks.read.marks import open_tables
from sinks.table import kept
from sinks.upkeep.keeper import Keeper
from sinks.upkeep.retain import DAY_MS
from tests.unit.sinks.ground import STREAM, TOPIC
from tests.unit.sinks.split_ground import SplitGround

DAYS = 2
DEFINITION = StreamDefinition.model_validate(
    {"name": "o", "topics": [TOPIC], "targetTable": "orders", "splitBy": "eventType", "retentionDays": DAYS}
)
VIEW = StreamView(STREAM, "acme", "o", 1, DEFINITION, "running", 1, accept_loss=False, frozen=False)
OLD, YOUNG = ["track", "page", "", "track"], ["track", "identify", "track"]


def test_each_table_of_a_split_stream_loses_its_own_old_rows_and_the_sums_hold(tmp_path: Path) -> None:
    ground, now_ms = SplitGround(tmp_path), time.time_ns() // 1_000_000
    keeper = ground.upkeep = Keeper(ground.catalog, SystemClock(), lambda: 0.0)
    ground.members = {"retentionDays": DAYS}
    ground.log.make(TOPIC)
    ground.put(OLD, at_ms=now_ms - 5 * DAY_MS)
    ground.put(YOUNG, len(OLD), at_ms=now_ms)
    made = ground.split()
    made.start()
    try:
        ground.wait(ground.drained, made)
        while (due := keeper.due()) is not None:
            keeper.look(due)
        status = made.status().upkeep
    finally:
        made.stop()
        assert made.join(20)
    assert ground.rows() == {
        "orders": [], "orders_page": [], "orders_identify": [("identify", 5)],
        "orders_track": [("track", 4), ("track", 6)],
    }  # fmt: skip
    removed = {name: kept.retained(ground.table(name).metadata, STREAM).rows for name in ground.rows()}
    assert removed == {"orders": 1, "orders_page": 1, "orders_identify": 0, "orders_track": 2}
    assert status is not None
    assert status.removed_rows == len(OLD)
    rows = []
    for one in open_tables(ground.reader, VIEW, changed=False):
        reading = CleanReading(CleanTopic(TOPIC, "TOPICID1"))
        reading.cut([0])
        for offset, value in enumerate(ground.log.topics[TOPIC][1][0]):
            reading.take(0, offset, value)
        check(one.row, one.table(lambda *_: 0, lambda *_: None), reading.topic, {}, one.absent)
        one.looked += 1
        one.settle()
        rows.append(one.row)
    whole = sum_of(rows)
    assert (whole.clean, whole.rows, whole.expired) == (7, len(YOUNG), len(OLD))
    assert [row.findings.count for row in rows] == [0] * 4
    ground.close()
