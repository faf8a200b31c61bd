"""A commit is decided by the table's offsets; the table keeps itself small."""

import inspect
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io.pyarrow import compute_statistics_plan, data_file_statistics_from_parquet_metadata
from pyiceberg.manifest import ManifestWriter, write_manifest, write_manifest_list
from pyiceberg.table import Table
from pyiceberg.table.update import AssertTableUUID

from schemas.backing.lake import open_catalog
from schemas.errors import ConfigurationError
from schemas.settings.processes import LakeSettings
from sinks.columns.shape import Branch, Kind
from sinks.table import commit, create, files, manifests, schema, snapshot, state

OWNER = "stream-1"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = open_catalog(
        LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    )
    yield made
    made.close()


@pytest.fixture
def table(catalog: Catalog) -> Table:
    return create.take(catalog, ("acme", "t"), schema.events(), OWNER, lambda: {"T": {"0": 0}})


def put(catalog: Any, table: Table, start: int, end: int, *, grown: bool = False) -> Any:
    wanted = table.schema()
    rows = pa.table(
        {
            "event_id": [f"e{n}" for n in range(start, end)],
            "received_at": pa.array([1] * (end - start), pa.timestamp("us", "UTC")),
        }
    )
    if grown:
        wanted = schema.extend(
            wanted, Branch({"x": Kind.LONG}), table.metadata.last_column_id, len(table.metadata.schemas)
        )
    names = itertools.count()
    made = files.write(
        rows, table.metadata, table.io, files.plan(table.metadata, wanted), lambda: f"{start}-{end}-{next(names)}"
    )
    return commit.commit(
        catalog, table, OWNER, commit.Batch(made, wanted, {"T": {"0": start}}, {"T": {"0": end}}, {}),
        now_ms=lambda: 1, wait=lambda _s: None, random=lambda: 0.5,
    )  # fmt: skip


def test_the_second_of_two_equal_commits_is_already_there(catalog: Catalog, table: Table) -> None:
    assert isinstance(put(catalog, table, 0, 5), commit.Committed)
    assert isinstance(put(catalog, table, 0, 5), commit.AlreadyThere)
    assert table.scan().count() == 5


def test_fences_a_writer_whose_table_has_moved(catalog: Catalog, table: Table) -> None:
    stale = catalog.load_table(("acme", "t"))
    put(catalog, table, 0, 5)
    assert put(catalog, stale, 0, 3) == commit.Fenced({"T": {"0": 5}})
    assert catalog.load_table(("acme", "t")).scan().count() == 5


class Failing:
    def __init__(self, catalog: Catalog, error: Exception, *, after: bool, times: int = 1) -> None:
        self._catalog, self._error, self._after, self._times = catalog, error, after, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def commit_table(self, *args: Any) -> Any:
        if self._times == 0:
            return self._catalog.commit_table(*args)
        self._times -= 1
        if self._after:
            self._catalog.commit_table(*args)
        raise self._error


@pytest.mark.parametrize("error", [OSError("lost"), CommitFailedException("conflict"), KeyError("bug")])
@pytest.mark.parametrize("after", [True, False])
def test_lets_the_offsets_decide_after_any_error(catalog: Catalog, table: Table, error: Exception, after: bool) -> None:
    result = put(Failing(catalog, error, after=after), table, 0, 5)
    assert isinstance(result, commit.AlreadyThere if after else commit.Committed)
    assert catalog.load_table(("acme", "t")).scan().count() == 5


def test_gives_up_after_its_tries(catalog: Catalog, table: Table) -> None:
    with pytest.raises(OSError, match="away"):
        put(Failing(catalog, OSError("away"), after=False, times=99), table, 0, 5)
    assert catalog.load_table(("acme", "t")).scan().count() == 0


def test_offsets_survive_a_foreign_commit_and_expiry(catalog: Catalog, table: Table) -> None:
    put(catalog, table, 0, 5)
    table.append(table.scan().to_arrow().slice(0, 1))  # somebody else's: no offsets in its summary
    foreign = table.metadata.current_snapshot_id
    table.maintenance.expire_snapshots().by_ids(
        [old.snapshot_id for old in table.snapshots() if old.snapshot_id != foreign]
    ).commit()
    assert state.offsets(table.metadata, OWNER) == {"T": {"0": 5}}
    assert state.offsets(table.metadata, "another") == {}
    assert isinstance(put(catalog, table, 5, 6), commit.Committed)


def test_offsets_follow_a_rollback(catalog: Catalog, table: Table) -> None:
    put(catalog, table, 0, 5)
    first = table.metadata.current_snapshot_id
    put(catalog, table, 5, 9)
    assert first is not None
    table.manage_snapshots().rollback_to_snapshot(first).commit()
    assert state.offsets(table.metadata, OWNER) == {"T": {"0": 5}}
    assert isinstance(put(catalog, table, 5, 9), commit.Committed)
    assert table.scan().count() == 9


def test_adds_columns_in_the_commit_that_needs_them(catalog: Catalog, table: Table) -> None:
    put(catalog, table, 0, 5)
    before = table.metadata_location
    put(catalog, table, 5, 6, grown=True)
    assert schema.shape(table.schema()) == Branch({"x": Kind.LONG})
    assert table.metadata.metadata_log[-1].metadata_file == before
    assert table.scan().count() == 6


def test_stays_small_over_many_commits(catalog: Catalog, table: Table) -> None:
    for n in range(70):
        put(catalog, table, n, n + 1)
    assert len(table.metadata.snapshots) <= snapshot.EXPIRE_AT
    current = table.current_snapshot()
    assert current is not None
    assert len(current.manifests(table.io)) <= manifests.FOLD_AT
    assert sorted(row["event_id"] for row in table.scan().to_arrow().to_pylist()) == sorted(f"e{n}" for n in range(70))
    assert current.summary is not None
    assert current.summary.additional_properties["total-records"] == "70"


@pytest.mark.usefixtures("table")
def test_never_takes_a_table_of_another_stream(catalog: Catalog) -> None:
    with pytest.raises(create.Foreign, match="belongs to stream-1"):
        create.take(catalog, ("acme", "t"), schema.events(), "stream-2", dict)


def test_every_column_has_a_doc(table: Table) -> None:
    assert all(field.doc for field in table.schema().fields)


def test_the_private_names_of_pyiceberg_are_what_they_were() -> None:
    assert list(inspect.signature(Catalog._delete_old_metadata).parameters) == ["io", "base", "metadata"]
    assert list(inspect.signature(Catalog.commit_table).parameters) == ["self", "table", "requirements", "updates"]
    assert list(inspect.signature(write_manifest).parameters) == [
        "format_version", "spec", "schema", "output_file", "snapshot_id", "avro_compression",
    ]  # fmt: skip
    assert list(inspect.signature(write_manifest_list).parameters) == [
        "format_version", "output_file", "snapshot_id", "parent_snapshot_id", "sequence_number", "avro_compression",
    ]  # fmt: skip
    assert list(inspect.signature(ManifestWriter.existing).parameters) == ["self", "entry"]
    assert list(inspect.signature(AssertTableUUID.validate).parameters) == ["self", "base_metadata"]
    assert list(inspect.signature(compute_statistics_plan).parameters) == ["schema", "table_properties"]
    assert list(inspect.signature(data_file_statistics_from_parquet_metadata).parameters) == [
        "parquet_metadata", "stats_columns", "parquet_column_mapping",
    ]  # fmt: skip


def test_says_which_catalog_setting_is_missing() -> None:
    with pytest.raises(ConfigurationError, match="HOOKBERG_CATALOG_URI"):
        open_catalog(LakeSettings())
    with pytest.raises(ConfigurationError, match="HOOKBERG_CATALOG_WAREHOUSE"):
        open_catalog(LakeSettings(catalog_uri="sqlite://"))


def test_two_processes_open_a_new_catalog_at_once(tmp_path: Path) -> None:
    given = LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _n: open_catalog(given), range(4)))
    assert [catalog.list_namespaces() for catalog in opened] == [[]] * 4
    for catalog in opened:
        catalog.close()
