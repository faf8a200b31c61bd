"""What a catalog and a store must do, whichever they are: the same tests run on each (rules 17 to 21).

Lives here: the writer's tests; upkeep's are in tended.py. A class that inherits `Lake` gives the fixture `place`;
`Wired` adds what only a place behind a network can do, and upkeep, which tests/unit/sinks tests on local files. May not
live here: servers (tests/house), faults that one kind alone has (test_rest.py).
"""

import asyncio
import time
from typing import Any

import orjson
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table.update import AssertRefSnapshotId, SetPropertiesUpdate

from schemas.errors import Poison
from sinks.columns.shape import Branch, Kind
from sinks.jobs.drop_table import drop
from sinks.read.catalog import CatalogTables
from sinks.table import commit, create, schema, snapshot, state
from tests.integration.lake.places import OWNER, TIMEOUT_S, Place, put
from tests.integration.lake.tended import Tended, events


class Lake:
    """Tests of any place."""

    def test_makes_a_table_once_and_takes_it_again(self, place: Place) -> None:
        catalog = place.open()
        made = place.table(catalog)
        again = create.take(place.open(), place.identifier, schema.events(), OWNER, lambda: {"T": {"0": 99}})
        assert again.metadata.table_uuid == made.metadata.table_uuid
        assert state.offsets(again.metadata, OWNER) == {"T": {"0": 0}}
        assert (place.namespace, "orders") in catalog.list_tables(place.namespace)
        with pytest.raises(Poison, match="belongs to stream-1"):
            create.take(catalog, place.identifier, schema.events(), "stream-2", dict)

    def test_rows_and_offsets_land_together(self, place: Place) -> None:
        catalog = place.open()
        table = place.table(catalog)
        for n in range(3):
            assert isinstance(put(catalog, table, n * 5, n * 5 + 5), commit.Committed)
            seen = place.open().load_table(place.identifier)
            assert seen.metadata_location == table.metadata_location
            assert state.offsets(seen.metadata, OWNER) == {"T": {"0": n * 5 + 5}}
        assert place.ids() == events(15)

    def test_the_second_of_two_equal_commits_is_already_there(self, place: Place) -> None:
        catalog = place.open()
        table = place.table(catalog)
        assert isinstance(put(catalog, table, 0, 5), commit.Committed)
        assert isinstance(put(catalog, table, 0, 5), commit.AlreadyThere)
        assert place.ids() == events(5)

    def test_a_stale_requirement_is_a_conflict(self, place: Place) -> None:
        catalog = place.open()
        table = place.table(catalog)
        put(catalog, table, 0, 5)
        head = table.metadata.current_snapshot_id
        put(catalog, table, 5, 6)
        stale = AssertRefSnapshotId(ref="main", snapshot_id=head)
        with pytest.raises(CommitFailedException):
            catalog.commit_table(table, (stale,), (SetPropertiesUpdate(updates={"taken": "yes"}),))
        assert "taken" not in catalog.load_table(place.identifier).properties

    def test_fences_a_writer_that_another_has_overtaken(self, place: Place) -> None:
        mine, theirs = place.open(), place.open()
        table = place.table(mine)
        successor = theirs.load_table(place.identifier)
        put(theirs, successor, 0, 5)
        assert put(mine, table, 0, 3) == commit.Fenced({"T": {"0": 5}})
        assert isinstance(put(theirs, successor, 5, 8), commit.Committed)
        assert place.ids() == events(8)

    def test_a_new_column_comes_with_the_commit_that_needs_it(self, place: Place) -> None:
        catalog = place.open()
        table = place.table(catalog)
        put(catalog, table, 0, 5)
        assert isinstance(put(catalog, table, 5, 6, grown=True), commit.Committed)
        seen = place.open().load_table(place.identifier)
        assert schema.shape(seen.schema()) == Branch({"x": Kind.LONG})
        assert len(seen.metadata.snapshots) == 2
        assert place.ids() == events(6)

    def test_a_column_that_another_added_meanwhile_is_not_overwritten(self, place: Place) -> None:
        from pyiceberg.types import StringType

        catalog = place.open()
        table = place.table(catalog)
        with place.open().load_table(place.identifier).update_schema() as change:
            change.add_column("note", StringType())
        assert isinstance(put(catalog, table, 0, 1, grown=True), commit.Fenced)
        found = catalog.load_table(place.identifier)
        assert found.schema().find_field("note").field_type == StringType()

    def test_snapshots_and_metadata_stay_few(
        self, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A REST server deletes old metadata files itself: if the client did so too, each would be missed once."""
        monkeypatch.setattr(snapshot, "EXPIRE_AT", 6)
        monkeypatch.setattr(snapshot, "KEEP_SNAPSHOTS", 3)
        catalog = place.open()
        table = place.table(catalog)
        for n in range(12):
            put(catalog, table, n, n + 1)
        assert len(table.metadata.snapshots) <= 6
        from pyarrow.fs import FileSelector

        io: Any = table.io
        scheme, _, path = f"{table.location()}/metadata".partition("://")
        store = io.fs_by_scheme(scheme, path.split("/")[0] if scheme == "s3" else None)
        kept = [one.path for one in store.get_file_info(FileSelector(path)) if one.path.endswith(".metadata.json")]
        assert len(kept) == create.KEEP_METADATA + 1
        assert not [record for record in caplog.records if "metadata" in record.getMessage()]
        assert place.ids() == events(12)

    def test_the_door_serves_what_the_catalog_has(self, place: Place) -> None:
        catalog = place.open()
        table = place.table(catalog)
        put(catalog, table, 0, 5)
        tables = CatalogTables(place.open)
        assert place.namespace in asyncio.run(tables.namespaces())
        assert asyncio.run(tables.tables(place.namespace)) == ["orders"]
        told = asyncio.run(tables.metadata(*place.identifier))
        tables.close()
        assert told is not None
        assert told.location == table.metadata_location
        assert orjson.loads(told.json)["current-snapshot-id"] == table.metadata.current_snapshot_id

    def test_drops_its_own_table_and_no_other(self, place: Place) -> None:
        catalog = place.open()
        place.table(catalog)
        namespace, name = place.identifier
        foreign = {"namespace": namespace, "table": name, "streamId": "stream-2"}
        assert drop(catalog, foreign, lambda _seconds: None)[1]
        assert catalog.table_exists(place.identifier)
        assert drop(catalog, {**foreign, "streamId": OWNER}, lambda _seconds: None) == ({"dropped": True}, False)
        assert not catalog.table_exists(place.identifier)


class Wired(Lake, Tended):
    """Tests of a place behind a network. `lost` is the answer to a commit, on S3 that to a data file's upload."""

    def test_a_lost_answer_makes_no_duplicates(self, place: Place) -> None:
        catalog = place.open()
        table = place.table(catalog)
        put(catalog, table, 0, 5)
        place.wire.lose_commits(1)
        assert isinstance(put(catalog, table, 5, 9), commit.AlreadyThere | commit.Committed)
        assert place.wire.lost == 1
        assert len(table.metadata.snapshots) == 2
        assert place.ids() == events(9)

    def test_goes_on_when_connections_were_cut(self, place: Place) -> None:
        catalog = place.open()
        table = place.table(catalog)
        put(catalog, table, 0, 5)
        place.wire.away(True)
        place.wire.away(False)
        assert isinstance(put(catalog, table, 5, 9), commit.Committed | commit.AlreadyThere)
        assert place.ids() == events(9)

    def test_a_server_that_hangs_holds_nobody_for_ever(self, place: Place) -> None:
        """The commit ends with an error; once the server goes on the same rows land once, whatever it does late."""
        catalog = place.open(TIMEOUT_S)
        table = place.table(catalog)
        put(catalog, table, 0, 5)

        class GivenUpError(Exception):
            pass

        def give_up(_seconds: float) -> None:
            raise GivenUpError

        place.wire.hang(True)
        started = time.monotonic()
        with pytest.raises((GivenUpError, OSError)):
            put(catalog, table, 5, 9, wait=give_up)
        assert time.monotonic() - started < 60
        place.wire.hang(False)
        successor = place.open()
        seen = successor.load_table(place.identifier)
        assert isinstance(put(successor, seen, 5, 9), commit.Committed | commit.AlreadyThere)
        assert place.ids() == events(9)
