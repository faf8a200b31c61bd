"""A record that our stage would not write is a row all the same: it must not stop the table (rule 13)."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.backing.lake import open_catalog
from schemas.settings.processes import LakeSettings
from sinks.columns.typing import Typing
from sinks.layout import EventLayout
from sinks.rows.system import Record
from sinks.table import create, files

EVENT = {
    "eventId": "e",
    "eventTime": "2026-01-01T00:00:00Z",
    "receivedAt": "2026-01-01T00:00:00Z",
    "position": {"topicId": "T", "partition": 0, "offset": 1, "item": 0},
    "payload": {},
}


@pytest.mark.parametrize(
    "odd",
    [
        {"eventTime": "0001-01-01T00:00:00+05:00"},
        {"eventTime": "9999-12-31T23:59:59-12:00"},
        {"receivedAt": "9999-12-31T23:59:59-12:00"},
        {"receivedAt": "0001-01-01T00:00:00+05:00"},
        {"position": {"topicId": "T", "partition": 2**31, "offset": 1, "item": 0}},
        {"position": {"topicId": "T", "partition": 0, "offset": 2**70, "item": 0}},
        {"position": {"topicId": "T", "partition": 0, "offset": 1, "item": -(2**40)}},
    ],
)
def test_values_out_of_range_do_not_stop_the_table(tmp_path: Path, odd: dict[str, Any]) -> None:
    catalog = open_catalog(
        LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    )
    layout = EventLayout(Typing())
    table = create.take(catalog, ("acme", "t"), layout.first_schema(), "s", dict)
    neighbours = [EVENT | odd, EVENT]
    records = [Record("T", 0, n, json.dumps(event).encode()) for n, event in enumerate(neighbours)]
    built = layout.build(records, table.metadata, 1_767_225_600_000_000)
    written = files.write(built.rows, table.metadata, table.io, files.plan(table.metadata, built.schema), lambda: "f")
    assert sum(file.record_count for file in written) == 2
    catalog.close()
