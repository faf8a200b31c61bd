"""A commit by what is at hand is the commit that pyiceberg would have made, and gives way where the table has moved."""

import contextlib
import inspect
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.avro.file import AvroOutputFile
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import ManifestListWriterV2, ManifestWriter, write_manifest, write_manifest_list
from pyiceberg.table import Table
from pyiceberg.table import update as updates_of
from pyiceberg.table.update import update_table_metadata

from schemas.backing.lake import swap
from schemas.backing.lake.sql import BoundedSql
from sinks.table import commit, create, lists, manifests, schema, snapshot
from tests.unit.sinks.ground import GATE, NAME, STREAM, Ground
from tests.unit.sinks.test_lean_commit import put

THREADS, EACH = 12, 4
LATER_MS = 4_000_000_000_000


@pytest.fixture
def table(ground: Ground) -> Table:
    return create.take(ground.catalog, NAME, schema.events(), STREAM, lambda: {"T": {"0": 0}})


def made_of(table: Table, files: Any = ()) -> snapshot.Commit:
    return snapshot.build(
        table.metadata, table.io, files, table.schema(), {"note": "x"}, STREAM, {"T": {"0": 9}}, LATER_MS
    )


def test_a_swap_makes_the_metadata_that_pyiceberg_makes(ground: Ground, table: Table) -> None:
    for at in range(snapshot.EXPIRE_AT + 2):  # the expiry of snapshots is part of it
        put(ground, table, at)
        made = made_of(table)
        ours = swap.following(table, made.updates)
        theirs = update_table_metadata(
            table.metadata, made.updates, enforce_validation=False, metadata_location=table.metadata_location
        )
        assert ours == theirs
    assert table.metadata == ground.catalog.load_table(NAME).metadata  # and what is at hand is what is stored


def test_a_table_that_has_moved_is_not_swapped(ground: Ground, table: Table) -> None:
    put(ground, table, 0)
    stale = ground.catalog.load_table(NAME)
    put(ground, table, 1)
    before = sorted((ground.folder / "warehouse").rglob("*.metadata.json"))
    made = made_of(stale)
    with pytest.raises(CommitFailedException):
        ground.catalog.commit_table(stale, made.requirements, made.updates)
    assert sorted((ground.folder / "warehouse").rglob("*.metadata.json")) == before  # nothing is left of the try
    assert ground.catalog.load_table(NAME).metadata == table.metadata


def test_a_change_of_a_property_alone_merges_with_what_came_meanwhile(ground: Ground, table: Table) -> None:
    stale = ground.catalog.load_table(NAME)
    put(ground, table, 0)
    with stale.transaction() as change:
        change.set_properties({"by": "an operator"})
    found = ground.catalog.load_table(NAME)
    assert found.properties["by"] == "an operator"
    assert found.scan().count() == 1


def test_a_dropped_table_is_not_swapped(ground: Ground, table: Table) -> None:
    put(ground, table, 0)
    ground.catalog.drop_table(NAME)
    made = made_of(table)
    with pytest.raises(CommitFailedException):
        ground.catalog.commit_table(table, made.requirements, made.updates)


def test_threads_take_turns_at_sqlite(tmp_path: Path) -> None:
    catalog = BoundedSql("c", timeout_s=30.0, uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/w")
    landed: list[int] = []

    def write(number: int) -> None:
        taken = create.take(catalog, ("acme", f"t{number}"), schema.events(), STREAM, lambda: {"T": {"0": 0}})
        for at in range(EACH):
            batch = commit.Batch((), taken.schema(), {"T": {"0": at}}, {"T": {"0": at + 1}}, {})
            made = commit.commit(
                catalog, taken, STREAM, batch, now_ms=lambda: 1, wait=lambda _s: None, random=lambda: 0.5
            )
            assert isinstance(made, commit.Committed)
        landed.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(landed) == list(range(THREADS))
    catalog.close()


def test_readers_of_sqlite_hold_up_no_commit(tmp_path: Path) -> None:
    catalog = BoundedSql("c", timeout_s=30.0, uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/w")
    taken = create.take(catalog, ("acme", "t"), schema.events(), STREAM, lambda: {"T": {"0": 0}})
    with contextlib.closing(sqlite3.connect(tmp_path / "c.db", timeout=0, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT metadata_location FROM iceberg_tables").fetchall()
        made = made_of(taken)
        catalog.commit_table(taken, made.requirements, made.updates)
        assert reader.execute("SELECT metadata_location FROM iceberg_tables").fetchall() == before
    assert taken.refresh().metadata.current_snapshot_id == made.snapshot_id
    catalog.close()


def test_a_turn_that_does_not_come_is_an_error(tmp_path: Path) -> None:
    catalog = BoundedSql("c", timeout_s=0.05, uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/w")
    taken = create.take(catalog, ("acme", "t"), schema.events(), STREAM, lambda: {"T": {"0": 0}})
    made = made_of(taken)
    with catalog._turn(), pytest.raises(TimeoutError, match="busy"):
        catalog.commit_table(taken, made.requirements, made.updates)
    assert taken.refresh().metadata.current_snapshot_id is None
    catalog.close()


def test_a_list_is_what_pyiceberg_writes_and_is_not_read_again(ground: Ground, table: Table) -> None:
    for at in range(3):
        put(ground, table, at, days=2)
    head = table.current_snapshot()
    assert head is not None
    GATE.clear()
    known = lists.read(head, table.io)
    assert not GATE.calls
    assert known == head.manifests(table.io)  # read by pyiceberg
    assert [one.sequence_number for one in known] == [3, 2, 1]
    path = f"{ground.folder}/theirs.avro"
    with write_manifest_list(2, table.io.new_output(path), 7, head.snapshot_id, 4, "deflate") as writer:
        writer.add_manifests(known)
    lists.write(f"{ground.folder}/ours.avro", table.io, 7, head, 4, known)
    ours, theirs = ((ground.folder / name).read_bytes() for name in ("ours.avro", "theirs.avro"))
    assert ours.replace(ours[-16:], b"") == theirs.replace(theirs[-16:], b"")  # but for the random marker of a file


def test_a_manifest_is_what_pyiceberg_writes(ground: Ground, table: Table) -> None:
    put(ground, table, 0, days=2)
    head = table.current_snapshot()
    assert head is not None
    entries = [entry for one in head.manifests(table.io) for entry in one.fetch_manifest_entry(table.io)]
    io, spec = PyArrowFileIO(), table.spec()
    with write_manifest(2, spec, table.schema(), io.new_output(f"{ground.folder}/t.avro"), 7, "deflate") as theirs:
        for entry in entries:
            theirs.existing(entry)
    output = io.new_output(f"{ground.folder}/o.avro")
    with manifests.DataManifestWriter(spec, table.schema(), output, 7, "deflate") as ours:
        for entry in entries:
            ours.existing(entry)
    mine, their = ((ground.folder / name).read_bytes() for name in ("o.avro", "t.avro"))
    assert mine.replace(mine[-16:], b"") == their.replace(their[-16:], b"")


def test_the_private_names_that_make_a_commit_cheap_are_what_they_were() -> None:
    assert list(inspect.signature(updates_of._apply_table_update).parameters) == ["update", "base_metadata", "context"]
    assert list(inspect.signature(updates_of._update_table_metadata_log).parameters) == [
        "base_metadata", "metadata_location", "last_updated_ms",
    ]  # fmt: skip
    assert not inspect.signature(updates_of._TableMetadataUpdateContext).parameters
    assert list(inspect.signature(BoundedSql._parse_metadata_version).parameters) == ["metadata_location"]
    assert list(inspect.signature(BoundedSql._write_metadata).parameters) == ["metadata", "io", "metadata_path"]
    assert list(inspect.signature(ManifestListWriterV2.prepare_manifest).parameters) == ["self", "manifest_file"]
    assert list(inspect.signature(ManifestWriter.new_writer).parameters) == ["self"]
    assert list(inspect.signature(AvroOutputFile.write_block).parameters) == ["self", "objects"]
