"""Tables as an analyst reads them, straight from the catalog's database: nothing of the chaos is in between."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
from pyiceberg.table import Table as IcebergTable

from tests.faults.history import Position, Row

_COLUMNS = ("event_id", "_topic", "_partition", "_offset", "_item")
_START = "hookberg.start."


@dataclass(frozen=True, slots=True)
class Lake:
    """Where the catalog's database and the files are."""

    uri: str
    warehouse: str

    @contextmanager
    def catalog(self) -> Iterator[SqlCatalog]:
        """Open the catalog for reading."""
        opened = SqlCatalog("hookberg", uri=self.uri, warehouse=self.warehouse, init_catalog_tables="false")
        try:
            yield opened
        finally:
            opened.close()

    def _load(self, opened: SqlCatalog, namespace: str, name: str) -> IcebergTable | None:
        try:
            return opened.load_table((namespace, name))
        except (NoSuchTableError, NoSuchNamespaceError):
            return None

    def count(self, namespace: str, name: str) -> int:
        """Return the rows of a table by its snapshot's summary; 0 while there is none."""
        with self.catalog() as opened:
            found = self._load(opened, namespace, name)
            snapshot = None if found is None else found.current_snapshot()
            if snapshot is None or snapshot.summary is None:
                return 0
            return int(snapshot.summary.additional_properties.get("total-records", "0"))

    def has(self, namespace: str, name: str, vendor_event_id: str) -> bool:
        """Tell whether a table holds an event."""
        with self.catalog() as opened:
            found = self._load(opened, namespace, name)
            if found is None or found.current_snapshot() is None:
                return False
            chosen = f"vendor_event_id == '{vendor_event_id}'"
            return bool(found.scan(row_filter=chosen, selected_fields=("vendor_event_id",)).to_arrow().num_rows)

    def rows(self, namespace: str, name: str, *columns: str) -> list[dict[str, Any]]:
        """Return every row of a table, of these columns; none while there is no snapshot."""
        with self.catalog() as opened:
            found = self._load(opened, namespace, name)
            if found is None or found.current_snapshot() is None:
                return []
            return cast("list[dict[str, Any]]", found.scan(selected_fields=columns).to_arrow().to_pylist())

    def read(self, namespace: str, name: str) -> tuple[dict[tuple[str, int], int], list[Row]]:
        """Return the resolved start of each clean (topic id, partition) and every row."""
        with self.catalog() as opened:
            found = self._load(opened, namespace, name)
            assert found is not None, f"no table {namespace}.{name}"
            text = next(value for key, value in found.properties.items() if key.startswith(_START))
            starts = {(topic, int(n)): int(at) for topic, ends in json.loads(text).items() for n, at in ends.items()}
            if found.current_snapshot() is None:
                return starts, []
            rows = found.scan(selected_fields=_COLUMNS).to_arrow().to_pylist()
        return starts, [
            Row(Position(row["_topic"], row["_partition"], row["_offset"], row["_item"]), row["event_id"])
            for row in rows
        ]
