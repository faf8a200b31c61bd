"""An upsert table through its writer: latest versions only, nothing lost, others may do to the table what they like."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import ManifestContent
from pyiceberg.types import StringType

from schemas.backing.registry.objects.streams import keys_stay
from schemas.definitions.cuts import cuts
from schemas.definitions.stream import StreamDefinition
from schemas.errors import Refused
from schemas.reasons import Reason
from sinks.columns.key import Key
from sinks.table import manifests, state
from sinks.table.partitions import Arrangement
from sinks.upsert.keys import Keys, keys_of
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import STREAM, TOPIC, Ground

DAY_MS = 86_400_000


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Ground]:
    ground = Ground(tmp_path)
    ground.keys = Keys(Key(("id",), ("v",)), (("op",), ("delete",)))
    ground.log.make(TOPIC)
    yield ground
    ground.close()


def put(ground: Ground, n: int, at_ms: int | None = None, **payload: Any) -> None:
    ground.log.put(wire_event(n, json.dumps(payload).encode(), at_ms=1_700_000_000_000 + n if at_ms is None else at_ms))


def rows(ground: Ground, column: str = "_offset") -> list[Any]:
    found = ground.table().scan(selected_fields=(column,)).to_arrow().column(0).to_pylist()
    return sorted(found, key=lambda one: (str(type(one)), one or 0))


def test_a_late_event_is_no_row_and_a_later_one_takes_its_keys_place(made: Ground) -> None:
    put(made, 0, id="a", v=2)
    made.run()
    put(made, 1, id="a", v=1)
    put(made, 2, id="b", v=1)
    made.run()
    assert rows(made) == [0, 2]
    put(made, 3, id="a", v=2.5)
    tail = made.run()
    assert rows(made) == [2, 3]
    assert tail.status().rows == 2
    assert state.replaced(made.table().metadata, STREAM) == {"superseded": 2}


def test_a_deleted_key_stays_deleted_over_a_restart_until_something_newer_comes(made: Ground) -> None:
    put(made, 0, id="a", v=1)
    put(made, 1, id="a", v=5, op="delete")
    made.run()
    put(made, 2, id="a", v=4)
    tail = made.run()
    assert (rows(made), tail.status().rows, made.drained()) == ([], 0, True)
    assert state.replaced(made.table().metadata, STREAM) == {"deleted": 2, "tombstones": 1}
    put(made, 3, id="a", v=6)
    made.run()
    assert rows(made) == [3]


def test_events_without_a_key_are_rows_and_stay(made: Ground) -> None:
    odd: list[dict[str, Any]] = [{"v": 1}, {"id": None, "op": "delete"}, {"id": {}}, {"id": [1]}, {"id": "x"}]
    for n, payload in enumerate(odd):
        put(made, n, **payload)
    made.log.put(wire_event(5, b'["no object"]'), b"no event")
    tail = made.run()
    assert tail.status().rows == 7
    assert state.replaced(made.table().metadata, STREAM) == {"keyless": 6}
    assert [key for key in rows(made, "_key") if key is not None] == ['["x"]']


def test_readers_see_the_latest_of_each_key_over_partitions_and_specs(made: Ground) -> None:
    first, then = Arrangement(cuts(("day(received_at)",))), Arrangement(cuts(("bucket(4, event_id)",)))
    for n in range(12):
        put(made, n, at_ms=1_700_000_000_000 + n % 3 * DAY_MS, id=n % 4, v=n)
    made.run(arrangement=first)
    assert rows(made) == [8, 9, 10, 11]
    for n in range(12, 18):
        put(made, n, id=n % 4, v=n)
    made.run(arrangement=then)
    assert rows(made) == [14, 15, 16, 17]
    held = made.table().current_snapshot().manifests(made.table().io)  # type: ignore[union-attr]
    assert {one.partition_spec_id for one in held if one.content == ManifestContent.DELETES} == {0, 1}


def test_duckdb_and_pyiceberg_agree(made: Ground) -> None:
    pytest.importorskip("duckdb_extension_iceberg")
    for n in range(12):
        put(made, n, id=n % 5, v=n, op="delete" if n == 11 else "")
    made.run()
    connection = duckdb.connect()
    load_iceberg(connection)
    found = connection.execute(f"SELECT _offset FROM iceberg_scan('{made.table().metadata_location}')").fetchall()
    assert sorted(one[0] for one in found) == rows(made) == [7, 8, 9, 10]


def load_iceberg(connection: Any) -> None:
    for name in ("duckdb_extension_avro", "duckdb_extension_iceberg"):
        module = importlib.import_module(name)
        path = next(Path(str(module.__file__)).parent.rglob("*.duckdb_extension"))
        connection.execute(f"LOAD '{path}'")


def test_the_index_is_read_again_when_somebody_else_has_rewritten_the_table(made: Ground) -> None:
    for n in range(6):
        put(made, n, id=n % 3, v=n)
    made.run()
    moved: list[Any] = []

    def compact() -> None:
        if not moved:
            moved.append(made.table())
            moved[0].overwrite(moved[0].scan().to_arrow())
            for n in range(6, 9):
                put(made, n, id=n % 3, v=n)

    made.meanwhile = compact
    made.run(until=lambda: bool(moved) and made.drained())
    assert rows(made) == [6, 7, 8]


def test_a_rewrite_between_the_decision_and_the_commit_fences_it(made: Ground) -> None:
    for n in range(6):
        put(made, n, id=n % 3, v=n)
    made.run()
    for n in range(6, 9):
        put(made, n, id=n % 3, v=n)
    real = made.catalog.commit_table
    rewritten: list[Any] = []

    def commit_table(*args: Any) -> Any:
        if not rewritten:
            rewritten.append(made.table())
            rewritten[0].overwrite(rewritten[0].scan().to_arrow())
        return real(*args)

    made.catalog.commit_table = commit_table  # type: ignore[method-assign]
    made.run()
    assert rows(made) == [6, 7, 8]
    assert made.unreferenced() == set()


def test_a_rollback_takes_keys_counts_and_tombstones_back(made: Ground) -> None:
    put(made, 0, id="a", v=1)
    made.run()
    first = made.table().metadata.current_snapshot_id
    put(made, 1, id="a", v=2, op="delete")
    made.run()
    assert rows(made) == []
    assert first is not None
    made.table().manage_snapshots().rollback_to_snapshot(first).commit()
    made.run()
    assert rows(made) == []
    assert state.replaced(made.table().metadata, STREAM) == {"deleted": 1, "tombstones": 1}


def test_a_dropped_key_column_fails_the_stream_and_writes_nothing(made: Ground) -> None:
    put(made, 0, id="a", v=1)
    made.run()
    with made.table().update_schema() as change:
        change.delete_column("_key")
    put(made, 1, id="a", v=2)
    made.most_s = 60
    status = made.run().status()
    assert status.reason is Reason.WRITER_FAILED
    assert "_key was dropped" in (status.message or "")
    assert rows(made) == [0]


def test_a_renamed_key_column_is_known_by_its_id(made: Ground) -> None:
    put(made, 0, id="a", v=1)
    made.run()
    with made.table().update_schema() as change:
        change.rename_column("_key", "the_key")
        change.add_column("theirs", StringType())
    put(made, 1, id="a", v=2)
    made.run()
    assert rows(made) == [1]
    assert rows(made, "the_key") == ['["a"]']


@pytest.mark.parametrize("layout", ["flat", "raw"])
def test_other_layouts_have_keys_too(made: Ground, layout: str) -> None:
    made.layout = layout
    for n in range(4):
        put(made, n, id=n % 2, v=n)
    made.run()
    assert rows(made, "_hb_offset" if layout == "flat" else "_offset") == [2, 3]


def test_manifests_of_deletes_fold(made: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "FOLD_AT", 3)
    made.per_poll = 1
    for n in range(9):
        put(made, n, id="a", v=n)
    made.run()
    assert rows(made) == [8]
    held = made.table().current_snapshot().manifests(made.table().io)  # type: ignore[union-attr]
    deletes = [one for one in held if one.content == ManifestContent.DELETES]
    assert len(deletes) <= 3
    files = [e.data_file.file_path for one in deletes for e in one.fetch_manifest_entry(made.table().io)]
    assert sum(pq.read_metadata(path.removeprefix("file://")).num_rows for path in files) == 8


def test_a_definition_names_key_sequence_and_tombstones() -> None:
    body = {"name": "o", "topics": ["{tenantId}.webhook.shop"], "targetTable": "o", "writeMode": "upsert"}
    with pytest.raises(ValueError, match="primaryKey is missing"):
        StreamDefinition.model_validate(body)
    more = {"primaryKey": ["a.b", "c"], "sequenceField": "at.n", "deleteWhen": {"path": "/op", "in": ["d", 0]}}
    definition = StreamDefinition.model_validate(body | more)
    assert keys_of(definition) == Keys(Key(("a.b", "c"), ("at", "n")), (("op",), ("d", 0)))
    assert definition.partition_by == ()
    assert StreamDefinition.model_validate(definition.to_wire()) == definition
    with pytest.raises(ValueError, match="writeMode: upsert"):
        StreamDefinition.model_validate(body | more | {"writeMode": "append"})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"primaryKey": ["other"]}, "primaryKey"),
        ({"sequenceField": "v"}, "sequenceField"),
        ({"writeMode": "append"}, "writeMode"),
    ],
)
def test_the_key_never_changes(change: dict[str, Any], word: str) -> None:
    body = {"name": "o", "topics": ["{tenantId}.webhook.shop"], "targetTable": "o", "writeMode": "upsert"}
    made = StreamDefinition.model_validate(body | {"primaryKey": ["id"]})
    keys_stay(made, made)
    with pytest.raises(Refused, match=word) as refused:
        keys_stay(made, StreamDefinition.model_validate(made.to_wire() | change))
    assert refused.value.reason is Reason.IMMUTABLE
