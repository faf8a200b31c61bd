"""The orphan sweep finds what nothing refers to, tells it, deletes it when asked, and touches nothing else."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sinks.jobs.drop_table import drop
from sinks.jobs.sweep_table import sweep
from sinks.table import snapshot
from sinks.upkeep import collect
from sinks.upkeep.keeper import Keeper
from tests.unit.sinks.ground import NAME, STREAM, TOPIC, Ground

ASKED = {"streamId": STREAM, "namespace": NAME[0], "table": NAME[1], "delete": False, "olderThanHours": 1}
LATER_S = 1 << 33


def written(ground: Ground) -> Path:
    """Return the folder of a table of three commits."""
    ground.log.make(TOPIC)
    ground.log.events(0, 15)
    ground.run()
    return Path(ground.table().location().removeprefix("file://"))


def lost(folder: Path) -> list[Path]:
    """Leave what a killed writer leaves."""
    made = [folder / "data" / "day=1" / "lost.parquet", folder / "metadata" / "snap-1-0-lost.avro"]
    for path in made:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"lost")
    return made


def swept(ground: Ground, now_s: float = LATER_S, **asked: Any) -> dict[str, Any]:
    return sweep(ground.catalog, {**ASKED, **asked}, lambda _share: None, lambda: now_s)


def everything(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_tells_and_deletes_nothing(ground: Ground) -> None:
    folder = written(ground)
    lost(folder)
    before = everything(folder)
    told = swept(ground)
    assert (told["files"], told["bytes"], told["deleted"], told["notSwept"]) == (2, 8, 0, [])
    assert sorted(told["shown"]) == ["orders/data/day=1/lost.parquet", "orders/metadata/snap-1-0-lost.avro"]
    assert everything(folder) == before


def test_deletes_orphans_and_nothing_else(ground: Ground) -> None:
    folder = written(ground)
    made = lost(folder)
    (folder / "metadata" / "version-hint.text").write_bytes(b"1")
    beside = folder / "notes.parquet"
    beside.write_bytes(b"somebody's")
    before = everything(folder)
    assert swept(ground, delete=True)["deleted"] == 2
    assert before - everything(folder) == set(made)
    assert swept(ground, delete=True)["files"] == 0
    assert ground.numbers() == list(range(15))


def test_young_files_may_be_on_their_way(ground: Ground) -> None:
    made = lost(written(ground))
    now_s = made[0].stat().st_mtime
    assert swept(ground, now_s, delete=True)["files"] == 0
    assert swept(ground, now_s + 3700, delete=True)["deleted"] == 2


def test_what_upkeep_has_written_down_is_upkeeps(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "VANISHED", 1)
    monkeypatch.setattr(snapshot, "EXPIRE_AT", 3)
    monkeypatch.setattr(snapshot, "KEEP_SNAPSHOTS", 1)
    ground.log.make(TOPIC)
    ground.log.events(0, 10)
    ground.run()
    keeper = Keeper(ground.catalog, ground.clock, lambda: 0.5)
    care = keeper.open(NAME, STREAM)
    keeper.look(care)
    ground.log.events(10, 10)
    ground.run()
    keeper.look(care)
    assert care.report.dead_files > 0
    assert swept(ground)["files"] == 0


def test_a_location_that_two_tables_share_is_not_swept(ground: Ground) -> None:
    lost(written(ground))
    ground.catalog.register_table((NAME[0], "copy"), ground.table().metadata_location)
    told = swept(ground, delete=True)
    assert told["deleted"] == told["files"] == 0
    assert told["notSwept"] == ["orders: table acme.copy has its files in the same location"]


def test_a_table_of_another_stream_is_not_swept(ground: Ground) -> None:
    lost(written(ground))
    assert swept(ground, delete=True, streamId="another")["notSwept"]
    ground.catalog.create_table((NAME[0], "theirs"), pa.schema([("a", pa.string())]))
    assert swept(ground, table="theirs")["tables"] == []
    assert swept(ground, table="none")["notSwept"] == ["none: the table does not exist"]


def test_a_dropped_table_leaves_no_file_of_upkeep(ground: Ground) -> None:
    folder = written(ground)
    keeper = Keeper(ground.catalog, ground.clock, lambda: 0.5)
    keeper.look(keeper.open(NAME, STREAM))
    assert list(folder.rglob("hookberg-*"))
    assert drop(ground.catalog, ASKED, lambda _seconds: None) == ({"dropped": True}, False)
    assert not list(folder.rglob("hookberg-*"))
