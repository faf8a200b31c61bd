"""Where a lake can be: a catalog and a store, opened as the product opens them, behind a proxy if there is a network.

Lives here: set-up of one test's own corner of a server that all share. May not live here: what is asked of it.
"""

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from schemas.backing.lake import open_catalog
from schemas.settings.processes import LakeSettings
from sinks.columns.shape import Branch, Kind
from sinks.table import commit, create, files, schema
from tests.faults.proxy import Proxy
from tests.house.postgres import Postgres
from tests.house.rest_catalog import RestCatalogServer
from tests.house.s3 import BUCKET, Store

OWNER = "stream-1"
TIMEOUT_S = 1.0
"""Of one request, where a test waits for it to pass."""
HASTY = {"s3.connect-timeout": "1", "s3.request-timeout": "1"}
Result = commit.Committed | commit.AlreadyThere | commit.Fenced


@dataclass(slots=True)
class Place:
    """One lake; `proxy` stands before its server, and can lose the answer to a commit."""

    settings: LakeSettings
    proxy: Proxy | None
    namespace: str = "acme"
    opened: list[Catalog] = field(default_factory=list)

    def open(self, timeout_s: float = 30.0) -> Catalog:
        """Open the catalog as another process would."""
        self.opened.append(open_catalog(self.settings, timeout_s=timeout_s))
        return self.opened[-1]

    @property
    def identifier(self) -> tuple[str, str]:
        """Return the name of the test's table."""
        return self.namespace, "orders"

    @property
    def wire(self) -> Proxy:
        """Return the proxy of a place that has one."""
        assert self.proxy is not None
        return self.proxy

    def table(self, catalog: Catalog) -> Table:
        """Return the table, made if it is not there."""
        return create.take(catalog, self.identifier, schema.events(), OWNER, lambda: {"T": {"0": 0}})

    def ids(self) -> list[str]:
        """Return the event ids that a reader sees, sorted."""
        rows = self.open().load_table(self.identifier).scan(selected_fields=("event_id",)).to_arrow()
        return sorted(rows["event_id"].to_pylist())


@contextmanager
def sqlite(folder: Path) -> Iterator[Place]:
    """Yield SQLite over local files: what `hookberg up` has."""
    settings = LakeSettings(
        catalog_uri=f"sqlite:///{folder}/catalog.db", catalog_warehouse=f"file://{folder}/warehouse"
    )
    with _place(Place(settings, None)) as place:
        yield place


@contextmanager
def postgres(folder: Path, server: Postgres) -> Iterator[Place]:
    """Yield PostgreSQL over local files."""
    with Proxy(server.port) as proxy:
        url = server.fresh_database().replace(f":{server.port}/", f":{proxy.port}/")
        settings = LakeSettings(catalog_uri=url, catalog_warehouse=f"file://{folder}/warehouse")
        with _place(Place(settings, proxy)) as place:
            yield place


@contextmanager
def rest(server: RestCatalogServer) -> Iterator[Place]:
    """Yield a REST server over local files, in a namespace of the test's own."""
    server.start()
    namespace = f"t{uuid.uuid4().hex[:12]}"
    with Proxy(server.port, f"POST /v1/namespaces/{namespace}/tables/orders ".encode()) as proxy:
        settings = LakeSettings(catalog_type="rest", catalog_uri=f"http://127.0.0.1:{proxy.port}")
        with _place(Place(settings, proxy, namespace)) as place:
            yield place


@contextmanager
def s3(folder: Path, store: Store) -> Iterator[Place]:
    """Yield SQLite over an S3 store, under a prefix of the test's own; what is lost are answers to data files."""
    with Proxy(store.port, b".parquet HTTP") as proxy:
        settings = LakeSettings(
            catalog_uri=f"sqlite:///{folder}/catalog.db",
            catalog_warehouse=f"s3://{BUCKET}/{uuid.uuid4().hex}",
            catalog_properties={**store.properties(proxy.port), **HASTY},
        )
        with _place(Place(settings, proxy)) as place:
            yield place


@contextmanager
def _place(place: Place) -> Iterator[Place]:
    try:
        yield place
    finally:
        if place.proxy is not None:
            place.proxy.hang(False)
            place.proxy.away(False)
        for catalog in place.opened:
            catalog.close()


def put(
    catalog: Any,
    table: Table,
    start: int,
    end: int,
    *,
    grown: bool = False,
    wait: Callable[[float], None] = lambda _seconds: None,
    notes: Mapping[str, str] | None = None,
) -> Result:
    """Commit events `start` to `end`, as a tail does; `grown`: with a column that the table has not."""
    wanted = table.schema()
    if grown:
        known = len(table.metadata.schemas)
        wanted = schema.extend(wanted, Branch({"x": Kind.LONG}), table.metadata.last_column_id, known)
    rows = pa.table(
        {
            "event_id": [f"e{n}" for n in range(start, end)],
            "received_at": pa.array([1] * (end - start), pa.timestamp("us", "UTC")),
        }
    )
    names = itertools.count()
    word = uuid.uuid4().hex
    plan = files.plan(table.metadata, wanted)
    made = files.write(rows, table.metadata, table.io, plan, lambda: f"{word}-{next(names)}")
    batch = commit.Batch(made, wanted, {"T": {"0": start}}, {"T": {"0": end}}, notes or {})
    return commit.commit(catalog, table, OWNER, batch, now_ms=lambda: 1, wait=wait, random=lambda: 0.5)
