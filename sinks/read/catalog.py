"""The Iceberg catalog for the analysts' door: names, and the metadata of a table as its file has it.

Lives here: `CatalogReader`. May not live here: writing, HTTP, who may see what (ingress/api/iceberg).
A metadata file never changes (Iceberg spec, "Overview"), so its text is kept by location, and a table that is asked
for again costs one look at the catalog. https://iceberg.apache.org/spec/#table-metadata-and-snapshots
"""

import asyncio
import gzip
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import orjson
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
from pyiceberg.io import load_file_io
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas import logs, names
from schemas.definitions.view import StreamView
from schemas.errors import HookbergError, Overloaded, Refused, Transient
from schemas.ports import TableMetadata
from schemas.reasons import Reason
from sinks.read import latest
from sinks.split.known import MEMBER

THREADS = 4
MAX_WAITING = 64
"""Calls at work or waiting for a thread; past it `Overloaded`."""
CACHE_BYTES = 64 << 20
MAX_METADATA = 64 << 20
_LOOKS = 3
"""A busy writer may have deleted the file that the catalog named a moment ago: look again so often."""
log = logs.logger(__name__)
T = TypeVar("T")


class Texts:
    """Metadata files by location, the ones asked for longest ago dropped first; safe for threads."""

    def __init__(self, most: int = CACHE_BYTES) -> None:
        self._most = most
        self._texts: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, location: str) -> bytes | None:
        """Return a text that is kept."""
        with self._lock:
            text = self._texts.get(location)
            if text is not None:
                self._texts.move_to_end(location)
            return text

    def put(self, location: str, text: bytes) -> None:
        """Keep a text, unless it would fill a quarter of the room by itself."""
        if len(text) * 4 > self._most:
            return
        with self._lock:
            self._size += len(text) - len(self._texts.pop(location, b""))
            self._texts[location] = text
            while self._size > self._most:
                self._size -= len(self._texts.popitem(last=False)[1])

    def __len__(self) -> int:
        return self._size


class CatalogTables:
    """Implements `schemas.ports.CatalogReader`. `catalog` is opened when first needed, so the API starts without it."""

    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        self._open = catalog
        self._catalog: Catalog | None = None
        self._texts = Texts()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="iceberg-door")
        self._waiting = 0

    async def namespaces(self) -> list[str]:
        """Return the names of all namespaces, sorted."""
        return await self._run(lambda: sorted(name[0] for name in self._found().list_namespaces() if len(name) == 1))

    async def tables(self, namespace: str) -> list[str] | None:
        """Return the names of a namespace's tables, sorted; None: no such namespace."""

        def read() -> list[str] | None:
            try:
                return sorted(name[-1] for name in self._found().list_tables((namespace,)))
            except NoSuchNamespaceError:
                return None

        return await self._run(read)

    async def exists(self, namespace: str, table: str) -> bool:
        """Tell whether there is such a table."""
        return await self.metadata(namespace, table) is not None

    async def metadata(self, namespace: str, table: str) -> TableMetadata | None:
        """Return a table's newest metadata; None: no such table."""
        return await self._run(lambda: self._metadata(self._found(), (namespace, table)))

    async def split_tables(self, stream: StreamView) -> list[str]:
        """Return the names of a split stream's tables by event type, as its own table names them; sorted."""
        own = names.namespace(stream.tenant, stream.definition.target_table or "")

        def read() -> list[str]:
            found = self._metadata(self._found(), own)
            properties = {} if found is None else orjson.loads(found.json).get("properties", {})
            return sorted(name.removeprefix(MEMBER) for name in properties if name.startswith(MEMBER))

        return await self._run(read)

    async def latest(self, stream: StreamView, table: str) -> dict[str, Any] | None:
        """Return {metadata-location, metadata} of the `latest` view of a stream's table; None: there is none."""
        identifier = names.namespace(stream.tenant, stream.definition.target_table or "")[0], table
        key = latest.key_in(stream.definition)

        def read() -> dict[str, Any] | None:
            catalog = self._found()
            found = None if key is None else self._metadata(catalog, identifier)
            if key is None or found is None:
                return None
            made = latest.view(found, identifier, key, catalog.name)
            return {"metadata-location": found.location, "metadata": made}

        return await self._run(read)

    def close(self) -> None:
        """End the pool's threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, call: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise Overloaded(Reason.OVERLOADED_REQUESTS, 1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call)
        except HookbergError:
            raise
        except Exception as error:
            log.warning("catalog_not_read", error=f"{type(error).__name__}: {error}"[:500])
            raise Transient("the catalog or its storage does not answer") from error
        finally:
            self._waiting -= 1

    def _found(self) -> Catalog:
        if self._catalog is None:
            self._catalog = self._open()
        return self._catalog

    def _metadata(self, catalog: Catalog, identifier: tuple[str, str]) -> TableMetadata | None:
        if not isinstance(catalog, SqlCatalog):  # those answer with the metadata itself, so there is nothing to save
            try:
                table = catalog.load_table(identifier)
            except NoSuchTableError:
                return None
            return TableMetadata(table.metadata_location, table.metadata.model_dump_json().encode())
        failed: Exception | None = None
        for _look in range(_LOOKS):
            location = _pointer(catalog, identifier)
            if location is None:
                return None
            if (kept := self._texts.get(location)) is not None:
                return TableMetadata(location, kept)
            try:
                text = _text(catalog, location)
            except FileNotFoundError as error:
                failed = error
                continue
            if b'"view-uuid"' in text and "view-uuid" in orjson.loads(text):
                return None  # made by Spark or Trino: a view, which this catalog keeps beside the tables
            self._texts.put(location, text)
            return TableMetadata(location, text)
        raise Transient("the table's metadata file is not there") from failed


def _pointer(catalog: SqlCatalog, identifier: tuple[str, str]) -> str | None:
    """Return where a table's metadata is, without reading it (`load_table` would parse it each time)."""
    namespace, table = identifier
    asked = select(IcebergTables.metadata_location).where(
        IcebergTables.catalog_name == catalog.name,
        IcebergTables.table_namespace == namespace,
        IcebergTables.table_name == table,
    )
    with Session(catalog.engine) as session:
        location: str | None = session.scalar(asked)
    return location


def _text(catalog: Catalog, location: str) -> bytes:
    """Read a metadata file; raises FileNotFoundError, `Refused` when it is larger than any that can be served."""
    with load_file_io(catalog.properties, location).new_input(location).open() as stream:
        text = stream.read(MAX_METADATA + 1)
    if location.endswith(".gz.metadata.json"):
        text = gzip.decompress(text)
    if len(text) > MAX_METADATA:
        raise Refused(Reason.BAD_REQUEST, f"the table's metadata is larger than {MAX_METADATA} bytes")
    orjson.loads(text)  # it is put into an answer as it is
    return text
