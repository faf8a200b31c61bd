"""What a redrive takes of the quarantine table: open rows by position, by the filters of the list and its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import Catalog

from schemas.backing.lake import open_catalog
from schemas.errors import Refused
from schemas.settings.processes import LakeSettings
from schemas.wire import quarantine as wire
from schemas.wire.position import Position
from schemas.wire.quarantine import FAILED, RESOLVED, payload_digest
from sinks.audit.reading import RawReading
from sinks.layout import FixedLayout
from sinks.read import redrivable
from sinks.read.redrivable import Redrivable
from sinks.rows.fixed import QUARANTINE_TABLE
from sinks.rows.system import Record
from sinks.table import create, schema

OWNER, LEFT_OUT = "acme.hookberg_quarantine", 9
AT_US = 1_800_000_000_000_000


def record(number: int, kind: str = FAILED, reason: str = "schema_violation", item: int = 0) -> bytes:
    at = Position("RAW", number % 2, number, item)
    message = wire.left_out(500, at) if number == LEFT_OUT else ""
    return wire.encode(
        wire.Quarantine(
            kind, f"e{number}", "acme", "shop", "shop" if number % 2 else "other", "sid", "webhook.shop", "push", None,
            f"d{number}", AT_US + number * 1_000_000, AT_US, at, reason, "/a", message,
            "push@1", None, "full", b"" if message else b"%d" % number, at if kind == RESOLVED else None,
        )
    )  # fmt: skip


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = open_catalog(
        LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    )
    yield made
    made.close()


@pytest.fixture
def table(catalog: Catalog) -> Redrivable:
    """Return the reader of a table with open, resolved, conflicting and foreign records."""
    made = create.take(catalog, ("acme", "hookberg_quarantine"), schema.fixed(QUARANTINE_TABLE.columns), OWNER, dict)
    values = [record(n) for n in range(6)] + [record(6, reason="id_conflict"), record(7, item=3), record(LEFT_OUT)]
    values += [record(2, RESOLVED), record(3, RESOLVED), b"of another program"]
    records = [Record("Q", 0, n, value) for n, value in enumerate(values)]
    made.append(FixedLayout(QUARANTINE_TABLE).build(records, made.metadata, 0).rows)
    return Redrivable(lambda: catalog)


def taken(table: Redrivable, **query: Any) -> list[str]:
    return [row.event_id for row in table.rows("acme", query, lambda: None)]


def test_open_rows_come_by_position_with_what_tells_a_whole_delivery(table: Redrivable) -> None:
    rows = list(table.rows("acme", {}, lambda: None))
    assert [(row.position.partition, row.position.offset) for row in rows] == [
        (0, 0), (0, 4), (1, 1), (1, 5), (1, 7), (1, LEFT_OUT),
    ]  # fmt: skip
    by_id = {row.event_id: row for row in rows}
    assert (by_id["e4"].size, by_id["e4"].digest) == (1, payload_digest(b"4"))
    assert by_id["e4"].delivery_id == "d4"
    assert by_id["e7"].digest is None, "a later item is never all of a delivery"
    assert (by_id[f"e{LEFT_OUT}"].size, by_id[f"e{LEFT_OUT}"].digest) == (500, None)


def test_filters_are_those_of_the_list_and_ids(table: Redrivable) -> None:
    assert taken(table, source="other") == ["e0", "e4"]
    assert taken(table, ids=["e1", "e2", "nobody"]) == ["e1"]
    assert taken(table, distinct=True, reason="id_conflict") == ["e6"]
    assert taken(table, reason="id_conflict") == []
    assert taken(table, schema="push@2") == taken(table, eventType="pull") == []
    assert taken(table, after="2027-01-15T08:00:05Z") == ["e5", "e7", f"e{LEFT_OUT}"]
    with pytest.raises(Refused):
        taken(table, after="now")


@pytest.mark.usefixtures("table")
def test_the_count_is_of_the_rows_that_would_be_taken(catalog: Catalog) -> None:
    stored = catalog.load_table(("acme", "hookberg_quarantine"))
    assert redrivable.count(stored, {}) == {"matching": 6, "byReason": {"schema_violation": 6}}
    both = redrivable.count(stored, {"distinct": True})
    assert both == {"matching": 7, "byReason": {"id_conflict": 1, "schema_violation": 6}}
    assert redrivable.count(stored, {"source": "nobody"}) == redrivable.nothing()


def test_more_rows_than_memory_is_for_are_refused(table: Redrivable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redrivable, "MAX_OPEN", 5)
    with pytest.raises(Refused, match="narrow it"):
        taken(table)


def test_a_tenant_without_a_table_has_nothing(catalog: Catalog) -> None:
    reader = Redrivable(lambda: catalog)
    assert list(reader.rows("acme", {}, lambda: None)) == []
    assert reader.held("acme") == {}


def test_the_audit_takes_a_redrive_of_a_whole_delivery_for_a_record_like_any_other() -> None:
    reading = RawReading(0, 0)
    whole, named = b'{"items": []}', b'{"items": [1, 2]}'
    for offset, value in enumerate((whole, named)):
        reading.take(offset, [("hb-source-id", b"s"), ("hb-redrive", value)])
    assert reading.redrives == {1: frozenset({1, 2})}
    assert not reading.stored, "neither was sent by a vendor"
