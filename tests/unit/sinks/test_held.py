"""Rows made ahead of their commit are the rows that one batch would have made."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from schemas.backing.lake import open_catalog
from schemas.settings.processes import LakeSettings
from sinks import session
from sinks.columns.typing import Typing
from sinks.layout import EventLayout, joined
from sinks.table import create, files
from tests.unit.sinks.ground import TOPIC, Ground
from tests.unit.sinks.wrapped import records


def test_batches_of_different_columns_become_one_table(tmp_path: Path) -> None:
    catalog = open_catalog(
        LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    )
    layout = EventLayout(Typing())
    table = create.take(catalog, ("acme", "t"), layout.first_schema(), "s", dict)
    payloads = [[b"{}"], [b'{"a":1}'], [b'{"a":2,"b":{"c":"x"}}']]
    built = [layout.build(records(batch), table.metadata, 0) for batch in payloads]
    whole = joined(built)
    assert whole.schema == built[-1].schema
    assert [row["payload"] and row["payload"]["a"] for row in whole.rows.to_pylist()] == [None, 1, 2]
    catalog.close()


def test_a_commit_holds_what_was_built_ahead(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "BUILD_BYTES", 1)
    ground.flush_bytes = 1 << 20
    ground.log.make(TOPIC)
    ground.log.events(0, 20)
    ground.run()
    ground.log.events(20, 30)
    ground.run()
    assert ground.numbers() == list(range(50))


def test_an_id_is_written_without_a_dictionary_and_measured_columns_alone_have_statistics(tmp_path: Path) -> None:
    catalog = open_catalog(
        LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    )
    layout = EventLayout(Typing())
    table = create.take(catalog, ("acme", "t"), layout.first_schema(), "s", dict)
    sent = records([json.dumps({"id": f"i{n}", "kind": "k"}).encode() for n in range(2 * files.SAMPLE)])
    built = layout.build(sent, table.metadata, 0)
    written = files.write(built.rows, table.metadata, table.io, files.plan(table.metadata, built.schema), lambda: "f")
    group = pq.read_metadata(written[0].file_path.removeprefix("file://")).row_group(0)
    columns = {group.column(at).path_in_schema: group.column(at) for at in range(group.num_columns)}
    assert not columns["payload.id"].has_dictionary_page
    assert columns["payload.kind"].has_dictionary_page
    assert {name for name, column in columns.items() if column.is_stats_set} == set(create.METRICS)
    catalog.close()
