"""A commit is one manifest, one list, one swap; it keeps the table small and takes nothing that is not its own."""

import importlib.util
import itertools
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, AssertTableUUID, SetSnapshotRefUpdate

from sinks.table import commit, create, files, manifests, schema, snapshot
from tests.unit.sinks.ground import GATE, NAME, STREAM, GatedCatalog, Ground

DAY_US = 86_400_000_000


@pytest.fixture
def table(ground: Ground) -> Table:
    return create.take(ground.catalog, NAME, schema.events(), STREAM, lambda: {"T": {"0": 0}})


def put(ground: Ground, table: Table, at: int, *, days: int = 1, wanted: Any = None, catalog: Any = None) -> Any:
    """Commit one row a day of `days` days, as the record at offset `at`."""
    rows = pa.table(
        {
            "event_id": [f"e{at}-{day}" for day in range(days)],
            "received_at": pa.array([day * DAY_US + at for day in range(days)], pa.timestamp("us", "UTC")),
        }
    )
    wanted, names = wanted or table.schema(), itertools.count()
    made = files.write(
        rows, table.metadata, table.io, files.plan(table.metadata, wanted), lambda: f"{at}-{next(names)}"
    )
    return commit.commit(
        catalog or ground.catalog, table, STREAM,
        commit.Batch(made, wanted, {"T": {"0": at}}, {"T": {"0": at + 1}}, {}),
        now_ms=lambda: 1, wait=lambda _s: None, random=lambda: 0.5,
    )  # fmt: skip


def duck(table: Table, query: str) -> list[tuple[Any, ...]]:
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "iceberg"):
        spec = importlib.util.find_spec(f"duckdb_extension_{name}")
        assert spec is not None
        assert spec.submodule_search_locations
        connection.execute(f"LOAD '{next(Path(spec.submodule_search_locations[0]).rglob(f'{name}.duckdb_extension'))}'")
    found = connection.execute(query.replace("TABLE", f"iceberg_scan('{table.metadata_location}')")).fetchall()
    connection.close()
    return found


def test_writes_one_manifest_one_list_and_asks_the_catalog_once(ground: Ground, table: Table) -> None:
    for at in range(10):
        put(ground, table, at, days=3)
    GATE.clear()
    put(ground, table, 10, days=3)
    made = [call.rsplit("/", 1)[1] for call in GATE.calls if call.startswith("create ")]
    assert [name.endswith(".parquet") for name in made] == [True] * 3 + [False] * 3
    assert [name.endswith("-m0.avro") for name in made].count(True) == 1
    assert [name.startswith("snap-") for name in made].count(True) == 1
    assert [name.endswith(".metadata.json") for name in made].count(True) == 1
    assert GATE.calls.count("commit_table") == 1
    assert GATE.calls.count("commit") == 1
    assert GATE.calls.count("statement") == 1  # the swap
    assert not [call for call in GATE.calls if call.startswith(("load_table", "open "))]  # what is known is not read
    assert sum(call.startswith("delete ") for call in GATE.calls) == 1  # the metadata file that falls off the log


def test_metadata_stays_small_over_300_commits(ground: Ground, table: Table) -> None:
    sizes, counts = [], []
    for at in range(300):
        put(ground, table, at)
        sizes.append(len(table.io.new_input(table.metadata_location)))
        current = table.current_snapshot()
        assert current is not None
        counts.append(
            (len(table.metadata.snapshots), len(current.manifests(table.io)), len(table.metadata.snapshot_log))
        )
    assert max(count[0] for count in counts) <= snapshot.EXPIRE_AT
    assert max(count[1] for count in counts) <= manifests.FOLD_AT + 5
    assert max(count[2] for count in counts) <= snapshot.EXPIRE_AT
    assert max(sizes[200:]) <= max(sizes[40:100]) + 2000
    kept = list((ground.folder / "warehouse").rglob("*.metadata.json"))
    assert len(kept) == create.KEEP_METADATA + 1
    assert table.scan().count() == 300
    assert duck(table, "SELECT count(*), count(DISTINCT event_id) FROM TABLE") == [(300, 300)]


def test_a_fold_carries_entries_over_as_they_were(ground: Ground, table: Table) -> None:
    """Several days a commit, a column added on the way: status, sequence numbers and snapshot ids stay."""
    before: dict[str, tuple[int | None, int | None, int | None]] = {}
    for at in range(manifests.FOLD_AT + 4):
        wanted = None
        if at == 20:
            from sinks.columns.shape import Branch, Kind

            wanted = schema.extend(table.schema(), Branch({"x": Kind.LONG}), table.metadata.last_column_id, 1)
        put(ground, table, at, days=3, wanted=wanted)
        current = table.current_snapshot()
        assert current is not None
        newest = current.manifests(table.io)[0]
        for entry in newest.fetch_manifest_entry(table.io):
            if entry.status == ManifestEntryStatus.ADDED:
                facts = (entry.snapshot_id, entry.sequence_number, entry.file_sequence_number)
                before.setdefault(entry.data_file.file_path, facts)
    assert current is not None
    now = current.manifests(table.io)
    assert len(now) < 10
    after = {}
    for manifest in now:
        entries = manifest.fetch_manifest_entry(table.io)
        assert manifest.min_sequence_number == min(entry.sequence_number or 0 for entry in entries)
        for entry in entries:
            assert (entry.status == ManifestEntryStatus.ADDED) == (entry.snapshot_id == manifest.added_snapshot_id)
            after[entry.data_file.file_path] = (entry.snapshot_id, entry.sequence_number, entry.file_sequence_number)
    assert after == before
    total = 3 * (manifests.FOLD_AT + 4)
    assert table.scan().count() == total
    assert table.scan("received_at < '1970-01-02T00:00:00+00:00'").count() == total / 3
    assert duck(table, "SELECT count(*), count(DISTINCT event_id) FROM TABLE") == [(total, total)]


def test_a_fold_leaves_deletes_in_force(ground: Ground, table: Table) -> None:
    """A foreign writer's position deletes apply to files that are folded later, and only to those before them."""
    for at in range(10):
        put(ground, table, at)
    delete_first_row(table, [task.file for task in table.scan().plan_files()][:4])
    table.refresh()
    for at in range(10, manifests.FOLD_AT + 20):
        put(ground, table, at)
    current = table.current_snapshot()
    assert current is not None
    assert len(current.manifests(table.io)) < manifests.FOLD_AT
    assert [m.content for m in current.manifests(table.io)].count(ManifestContent.DELETES) == 1
    left = manifests.FOLD_AT + 20 - 4
    assert table.scan().count() == left
    assert duck(table, "SELECT count(*), count(DISTINCT event_id) FROM TABLE") == [(left, left)]


class _Deletes(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def head_moves(snapshot_id: int, keep: int | None) -> SetSnapshotRefUpdate:
    return SetSnapshotRefUpdate(
        ref_name="main", type="branch", snapshot_id=snapshot_id, min_snapshots_to_keep=keep, max_ref_age_ms=None,
        max_snapshot_age_ms=None,
    )  # fmt: skip


def delete_first_row(table: Table, victims: list[DataFile]) -> None:
    """Commit position deletes of the first row of each file, as another engine does."""
    metadata, io = table.metadata, table.io
    head = table.current_snapshot()
    assert head is not None
    paths = sorted(victim.file_path for victim in victims)
    folder = metadata.location
    fields = [
        pa.field(name, kind, nullable=False, metadata={"PARQUET:field_id": str(field_id)})
        for name, kind, field_id in (("file_path", pa.string(), 2147483546), ("pos", pa.int64(), 2147483545))
    ]
    output = io.new_output(f"{folder}/data/deletes.parquet")
    with output.create() as stream:
        pq.write_table(pa.table({"file_path": paths, "pos": [0] * len(paths)}, schema=pa.schema(fields)), stream)
    file = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES, file_path=output.location, file_format=FileFormat.PARQUET,
        partition=victims[0].partition, record_count=len(paths), file_size_in_bytes=len(output),
        spec_id=metadata.default_spec_id,
    )  # fmt: skip
    new_id, sequence = 4711, (head.sequence_number or 0) + 1
    made = io.new_output(f"{folder}/metadata/deletes-m0.avro")
    with _Deletes(metadata.spec(), metadata.schema(), made, new_id, "deflate") as writer:
        writer.add_entry(
            ManifestEntry.from_args(
                status=ManifestEntryStatus.ADDED, snapshot_id=new_id, sequence_number=None, file_sequence_number=None,
                data_file=file,
            )
        )  # fmt: skip
    listed = io.new_output(f"{folder}/metadata/snap-deletes.avro")
    with write_manifest_list(2, listed, new_id, head.snapshot_id, sequence, "deflate") as lists:
        lists.add_manifests([writer.to_manifest_file(), *head.manifests(io)])
    table.catalog.commit_table(
        table,
        (AssertTableUUID(uuid=metadata.table_uuid),),
        (
            AddSnapshotUpdate(
                snapshot=Snapshot(
                    snapshot_id=new_id, parent_snapshot_id=head.snapshot_id, manifest_list=listed.location,
                    sequence_number=sequence, schema_id=metadata.current_schema_id,
                    summary=Summary(operation=Operation.DELETE),
                )
            ),
            head_moves(new_id, None),
        ),
    )  # fmt: skip


def test_never_expires_what_a_tag_or_branch_points_at(ground: Ground, table: Table) -> None:
    put(ground, table, 0)
    put(ground, table, 1)
    first, second = (s.snapshot_id for s in table.metadata.snapshots)
    table.manage_snapshots().create_tag(first, "audit").create_branch(second, "try").commit()
    for at in range(2, 90):
        put(ground, table, at)
    refs = {name: ref.snapshot_id for name, ref in table.metadata.refs.items() if name != "main"}
    assert refs == {"audit": first, "try": second}
    assert table.scan(snapshot_id=first).count() == 1
    assert table.scan(snapshot_id=second).count() == 2


@pytest.mark.parametrize("moment", ["before the commit", "before a commit over REST", "while the catalog is asked"])
def test_never_expires_what_was_tagged_since_its_last_commit(
    ground: Ground, table: Table, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over REST there is no requirement that would say so: the table is read again before it expires anything."""
    if moment == "before a commit over REST":
        monkeypatch.setattr(commit, "RestCatalog", GatedCatalog)
    for at in range(snapshot.EXPIRE_AT):
        put(ground, table, at)
    oldest = table.metadata.snapshots[0].snapshot_id
    real = ground.catalog.commit_table

    def tag() -> None:
        ground.reader.load_table(NAME).manage_snapshots().create_tag(oldest, "audit").commit()

    def commit_table(*args: Any) -> Any:
        ground.catalog.commit_table = real  # type: ignore[method-assign]
        tag()
        return real(*args)

    if moment.startswith("before"):
        tag()
    else:
        ground.catalog.commit_table = commit_table  # type: ignore[method-assign]
    assert isinstance(put(ground, table, snapshot.EXPIRE_AT), commit.Committed)
    assert len(table.metadata.snapshots) < snapshot.EXPIRE_AT
    assert table.metadata.refs["audit"].snapshot_id == oldest
    assert table.scan(snapshot_id=oldest).count() == 1


def test_keeps_the_limits_that_an_operator_gave_the_main_branch(ground: Ground, table: Table) -> None:
    put(ground, table, 0)
    main = table.metadata.refs["main"].snapshot_id
    ground.catalog.commit_table(table, (), (head_moves(main, 7),))
    table.refresh()
    put(ground, table, 1)
    assert table.metadata.refs["main"].min_snapshots_to_keep == 7


@pytest.mark.parametrize("grown", [True, False])
def test_a_column_added_meanwhile_is_never_overwritten(ground: Ground, table: Table, grown: bool) -> None:
    """Ids are given out by whoever commits: both add one at once, and only one may have it."""
    from pyiceberg.types import StringType

    from sinks.columns.shape import Branch, Kind

    put(ground, table, 0)
    wanted = None
    if grown:
        wanted = schema.extend(table.schema(), Branch({"x": Kind.LONG}), table.metadata.last_column_id, 1)
    with ground.reader.load_table(NAME).update_schema() as change:
        change.add_column("note", StringType())
    assert isinstance(put(ground, table, 1, wanted=wanted), commit.Fenced)
    table.refresh()
    assert table.schema().find_field("note").field_type == StringType()
    assert len({one.schema_id for one in table.metadata.schemas}) == len(table.metadata.schemas)
    assert isinstance(put(ground, table, 1), commit.Committed)
    assert table.scan().count() == 2


def test_the_refusal_of_moved_refs_is_a_conflict() -> None:
    metadata: Any = None
    with pytest.raises(CommitFailedException):
        commit.RefsStand(uuid="00000000-0000-0000-0000-000000000000", refs={}).validate(metadata)


@pytest.mark.parametrize(("sizes", "folded"), [
    ([1] * 49, 0), ([1] * 50, 50), ([1] * 50 + [50], 51), ([1] * 49 + [5000], 0), ([1] * 50 + [5000], 50),
    ([400] * 60, 0), ([40] * 300, 250),
])  # fmt: skip
def test_folds_the_small_ones_and_never_too_many_files(sizes: list[int], folded: int) -> None:
    made: list[Any] = [
        type("M", (), {"partition_spec_id": 0, "content": ManifestContent.DATA, "added_files_count": n,
                       "existing_files_count": 0})() for n in sizes
    ]  # fmt: skip
    assert len(manifests.to_fold(made, 0)) == folded
    assert manifests.to_fold(made, 1) == []
