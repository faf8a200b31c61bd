"""The port's implementation: finds the table, reads it in a thread of its own pool, answers in JSON values.

Lives here: `TableReader`. May not live here: writing; HTTP.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from schemas import names
from schemas.definitions.view import StreamView
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.settings.processes import LakeSettings
from sinks.columns.key import Key
from sinks.fleet import QUARANTINE
from sinks.read import columns, drift, latest, quarantine, redrivable, rows, snippets
from sinks.split.known import TYPE, members
from sinks.table import state
from sinks.table.schema import name_in

THREADS = 4
T = TypeVar("T")


class Reader:
    """Implements `schemas.ports.TableReader`. `catalog` is opened when first needed, so the API starts without it."""

    def __init__(
        self, settings: LakeSettings, catalog: Callable[[], Catalog], api_url: str = "http://127.0.0.1:8080"
    ) -> None:
        self._settings, self._api_url = settings, api_url
        self._open = catalog
        self._catalog: Catalog | None = None
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="table-reader")

    async def table(self, stream: StreamView, event_type: str | None = None) -> dict[str, Any]:
        """Return where the table is and how to read it; raises `Refused(not_found)` before it exists."""
        key = latest.key_in(stream.definition)
        return await self._run(lambda: _mode(stream) | self._table(self._place(stream, event_type), key))

    async def rows(self, stream: StreamView, limit: int, event_type: str | None = None) -> list[dict[str, Any]]:
        """Return the newest rows, newest first, as JSON values; raises `Refused(not_found)` before the table exists."""

        def read() -> list[dict[str, Any]]:
            table = self._load(self._place(stream, event_type))
            schema = table.schema()
            return rows.json_rows(rows.newest(table, name_in(schema, "received_at"), limit), schema)

        return await self._run(read)

    async def columns(self, stream: StreamView, event_type: str | None = None) -> list[dict[str, Any]]:
        """Return the data dictionary, with how full each column is among the newest rows."""
        return await self._run(lambda: columns.described(self._load(self._place(stream, event_type))))

    async def quarantine(self, tenant: str, query: Mapping[str, str], limit: int, cursor: str | None) -> dict[str, Any]:
        """Return a page of the quarantine table; empty before it exists."""

        def read() -> dict[str, Any]:
            try:
                table = self._load((tenant, QUARANTINE))
            except Refused:
                return {"items": [], "nextCursor": None}
            return quarantine.page(table, query, limit, cursor)

        return await self._run(read)

    async def drift(self, tenant: str, source_id: str, since_ms: int, limit: int) -> dict[str, Any]:
        """Return where a source's events failed their schemas; nothing before the quarantine table exists."""

        def read() -> dict[str, Any]:
            try:
                table = self._load((tenant, QUARANTINE))
            except Refused:
                return dict(drift.NOTHING)
            return drift.report(table, source_id, since_ms, limit)

        return await self._run(read)

    async def redrivable(self, tenant: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Return how many rows a redrive would take now; none before the table exists."""

        def read() -> dict[str, Any]:
            try:
                table = self._load((tenant, QUARANTINE))
            except Refused:
                return redrivable.nothing()
            return redrivable.count(table, query)

        return await self._run(read)

    def close(self) -> None:
        """End the pool's threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def _load(self, identifier: tuple[str, str]) -> Table:
        if self._catalog is None:
            self._catalog = self._open()
        try:
            return self._catalog.load_table(identifier)
        except NoSuchTableError as error:
            name = ".".join(identifier)
            raise Refused(
                Reason.NOT_FOUND,
                f"table {name} does not exist yet: a started stream makes it once its topic exists, see its status",
            ) from error

    def _place(self, stream: StreamView, event_type: str | None) -> tuple[str, str]:
        """Return a stream's table, of a split one that of a type; raises `Refused(not_found)`."""
        own = names.namespace(stream.tenant, stream.definition.target_table or "")
        if event_type is None:
            return own
        known = members(self._load(own).metadata)
        found = next((one.table for one in known if one.event_type == event_type), None)
        if found is None:
            raise Refused(
                Reason.NOT_FOUND,
                f"the stream has no table of event type {event_type!r}: its `tables` are listed with its own",
            )
        return own[0], found

    def _table(self, identifier: tuple[str, str], key: Key | None = None) -> dict[str, Any]:
        table = self._load(identifier)
        door = self._settings.catalog_name, f"{self._api_url}/iceberg", identifier
        direct = self._settings, identifier, table.metadata_location
        asked = None if key is None else latest.of(table.schema(), key)
        current = table.metadata.current_snapshot()
        summary = current.summary.additional_properties if current is not None and current.summary else {}
        top = [field.name for field in table.schema().fields]
        return {
            "catalog": {
                "name": self._settings.catalog_name,
                "type": self._settings.catalog_type,
                "uri": snippets.uri(self._settings),
                "warehouse": self._settings.catalog_warehouse,
            },
            "namespace": identifier[0],
            "table": identifier[1],
            "tableUuid": str(table.metadata.table_uuid),
            "location": table.location(),
            "metadataLocation": table.metadata_location,
            "snapshotId": None if current is None else str(current.snapshot_id),
            "rows": state.rows(summary),
            "files": int(summary.get("total-data-files", 0)),
            "snippets": snippets.door(*door, columns=top),
            "direct": snippets.direct(*direct, columns=top),
            "latest": asked
            and {
                "view": ".".join(latest.name_of(identifier)),
                "snippets": snippets.door(*door, asked),
                "direct": snippets.direct(*direct, asked),
            },
            "eventType": table.metadata.properties.get(TYPE),
            "tables": [{"table": one.table, "eventType": one.event_type} for one in members(table.metadata)],
        }


def _mode(stream: StreamView) -> dict[str, Any]:
    """Return what a row of the stream's table is: an event, or the latest version of a key."""
    return {"writeMode": stream.definition.write_mode, "primaryKey": list(stream.definition.primary_key)}
