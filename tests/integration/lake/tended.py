"""What upkeep must do on any catalog and store: expiry, folding, compaction, retention, deletion of what died, orphans.

Lives here: the tests that `Wired` (contract.py) has beside those of the writer. A place gives them its catalogs; the
clock is moved by hand. Not here: what upkeep decides (tests/unit/sinks), which one kind of storage cannot change.
"""

from typing import Any

import pytest
from pyarrow.fs import FileSelector
from pyiceberg.table import Table

from sinks.jobs.sweep_table import sweep
from sinks.table import commit, kept, manifests, snapshot, state
from sinks.upkeep import collect, compact
from sinks.upkeep.care import Care
from sinks.upkeep.keeper import Keeper
from sinks.upkeep.retain import Retention
from tests.fakes.clock import ManualClock
from tests.integration.lake.places import OWNER, Place, put

GRACE_S = 100.0
LATER_S = float(1 << 33)


def events(end: int) -> list[str]:
    """Return the ids of the first events, sorted as `Place.ids` has them."""
    return sorted(f"e{n}" for n in range(end))


def keeper_of(place: Place, days: int | None = None) -> tuple[Keeper, Care, ManualClock]:
    """Return the upkeep of another process: a catalog and a clock of its own."""
    clock = ManualClock()
    keeper = Keeper(place.open(), clock, lambda: 0.5, GRACE_S)
    column = place.open().load_table(place.identifier).schema().find_field("received_at")
    old = None if days is None else Retention(days, column.name, column.field_id)
    return keeper, keeper.open(place.identifier, OWNER, retention=old), clock


def looked(keeper: Keeper, care: Care) -> Care:
    """Look once; nothing may go wrong."""
    keeper.look(care)
    assert care.report.error is None
    return care


def stored(table: Table) -> set[str]:
    """Return the names of the data files, manifests and lists that the table's location holds."""
    io: Any = table.io
    scheme, netloc, root = io.parse_location(table.location(), io.properties)
    found = io.fs_by_scheme(scheme, netloc).get_file_info(FileSelector(root, recursive=True))
    return {one.base_name for one in found if one.base_name.endswith((".avro", ".parquet"))}


def held(table: Table) -> set[str]:
    """Return the names of those that a snapshot holds."""
    paths = [one.manifest_list for one in table.metadata.snapshots]
    for one in table.metadata.snapshots:
        for manifest in one.manifests(table.io):
            paths.append(manifest.manifest_path)
            paths += [entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)]
    return {path.rpartition("/")[2] for path in paths}


class Tended:
    """Tests of a place behind a network. `lost` is as in `Wired`: the answer to a commit, on S3 that to a data file."""

    @pytest.fixture
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Join and fold four, expire after three snapshots, collect at once."""
        monkeypatch.setattr(compact, "MIN_INPUTS", 4)
        monkeypatch.setattr(manifests, "FOLD_AT", 4)
        monkeypatch.setattr(collect, "VANISHED", 1)
        monkeypatch.setattr(snapshot, "EXPIRE_AT", 3)
        monkeypatch.setattr(snapshot, "KEEP_SNAPSHOTS", 1)

    @pytest.mark.usefixtures("small")
    def test_a_table_is_joined_folded_expired_and_what_died_deleted(self, place: Place) -> None:
        catalog = place.open()
        table = place.table(catalog)
        keeper, care, clock = keeper_of(place)
        for n in range(6):  # it looks before snapshots expire; the writer is not told that its files were joined
            put(catalog, table, n, n + 1)
            if n % 2:
                looked(keeper, care)
        assert care.report.files == 3
        assert care.report.dead_files > 0
        assert state.offsets(table.metadata, OWNER) == {"T": {"0": 6}}
        waiting = stored(table.refresh()) - held(table)
        assert [name for name in waiting if name.endswith(".parquet")], "queries that began before may still read them"
        for _look in range(3):
            clock.advance(GRACE_S + 1)
            looked(keeper, care)
        seen = place.open().load_table(place.identifier)
        head = seen.current_snapshot()
        assert head is not None
        assert len(head.manifests(seen.io)) <= manifests.FOLD_AT
        assert len(seen.metadata.snapshots) <= snapshot.EXPIRE_AT
        assert stored(seen) == held(seen)
        assert (care.report.dead_files, care.report.dead_bytes) == (0, 0)
        assert place.ids() == events(6)

    def test_old_rows_go_and_are_counted_and_orphans_are_found_and_deleted(self, place: Place) -> None:
        catalog = place.open()
        table = place.table(catalog)
        put(catalog, table, 0, 3)
        keeper, care, _clock = keeper_of(place, days=1)
        assert looked(keeper, care).report.removed_rows == 3
        assert place.ids() == []
        put(catalog, table, 3, 4)
        seen = place.open().load_table(place.identifier)
        assert kept.retained(seen.metadata, OWNER).rows == 3
        assert state.offsets(seen.metadata, OWNER) == {"T": {"0": 4}}
        with seen.io.new_output(f"{seen.location()}/data/lost.parquet").create() as lost:
            lost.write(b"of a killed process")
        namespace, name = place.identifier
        asked = {"streamId": OWNER, "namespace": namespace, "table": name, "delete": False, "olderThanHours": 1}

        def swept(**more: Any) -> tuple[list[str], int, list[str]]:
            told = sweep(place.open(), asked | more, lambda _share: None, lambda: LATER_S)
            return [one.rpartition("/")[2] for one in told["shown"]], told["deleted"], told["notSwept"]

        assert swept() == (["lost.parquet"], 0, [])
        assert swept(delete=True) == (["lost.parquet"], 1, [])
        assert swept() == ([], 0, [])
        assert len(place.ids()) == 1

    @pytest.mark.usefixtures("small")
    def test_a_lost_answer_to_upkeep_joins_once(self, place: Place) -> None:
        catalog = place.open()
        table = place.table(catalog)
        for n in range(4):
            put(catalog, table, n, n + 1)
        keeper, care, _clock = keeper_of(place)
        place.wire.lose_commits(1)
        assert looked(keeper, care).report.files == 1
        assert place.wire.lost == 1
        assert isinstance(put(catalog, table, 4, 5), commit.Committed)
        assert place.ids() == events(5)
