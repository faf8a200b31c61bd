"""A SQL catalog for many tables: no server that has stopped answering holds it for ever, commits are cheap and in turn.

Lives here: `BoundedSql`. May not live here: the registry's connections (schemas/backing/registry), what is in a commit
(swap.py). libpq bounds the making of a connection (`connect_timeout`) and what lies unsent, not the wait for an answer.
SQLite has one writer at a time, and whoever finds it busy sleeps and asks again, up to 100 ms a time and in no order:
with 60 tables some got no turn in 5 s. So the threads of a process take turns before they ask. The file has a
write-ahead log: one flush to disk for a commit in place of three, and readers wait for nobody.
https://www.postgresql.org/docs/current/libpq-connect.html, https://www.sqlite.org/wal.html
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.abc import PQGen
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.update import TableRequirement, TableUpdate
from sqlalchemy import event

from schemas.backing.lake import swap

CONNECT_TIMEOUT_S = 5


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that gives up, and is closed, when one answer takes longer than `limit_s` seconds."""

    limit_s = 30.0

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Wait for an answer; raises psycopg.OperationalError past the limit."""
        try:
            return super().wait(gen, interval, self.limit_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:  # noqa: SLF001 listed in sinks/table/README.md
            self.pgconn.finish()  # nobody knows what a late answer would answer: the pool makes another
            raise psycopg.OperationalError(f"PostgreSQL has not answered for {self.limit_s:g} s") from None


class BoundedSql(SqlCatalog):
    """pyiceberg's SQL catalog with `timeout_s` seconds for each answer of PostgreSQL, and for a turn at SQLite."""

    def __init__(self, name: str, *, timeout_s: float, **properties: Any) -> None:  # noqa: ANN401 as pyiceberg has it
        self._timeout_s = timeout_s
        self._turns: threading.Lock | None = None
        super().__init__(name, **properties)

    def _init_catalog(self) -> None:
        """Look for the catalog's tables, and make them; by connections that have the limit already."""
        if self.engine.dialect.driver == "psycopg":
            event.listen(self.engine, "do_connect", self._connect)
        if self.engine.dialect.name == "sqlite":
            self._turns = threading.Lock()
            event.listen(self.engine, "connect", _ahead)
        super()._init_catalog()

    def commit_table(
        self, table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]
    ) -> CommitTableResponse:
        """Commit to a table as `Catalog.commit_table` does; a snapshot on a table that has not moved is a swap."""
        if swap.swappable(table, requirements, updates):
            metadata = swap.following(table, updates)
            location = swap.next_location(table, metadata)
            self._write_metadata(metadata, table.io, location)
            if self._swapped(table, location):
                return CommitTableResponse(metadata=metadata, metadata_location=location)
            with contextlib.suppress(Exception):  # an orphan sweep takes what is left
                table.io.delete(location)
        return super().commit_table(table, requirements, updates)

    def _swapped(self, table: Table, after: str) -> bool:
        """Put a metadata file in the place of the table's; False: the table stands elsewhere now, or is gone."""
        names = {
            "catalog": self.name,
            "namespace": Catalog.namespace_to_string(Catalog.namespace_from(table.name())),
            "table": Catalog.table_name_from(table.name()),
        }
        with self._turn(), self.engine.begin() as connection:
            done = connection.execute(swap.SWAP, {**names, "before": table.metadata_location, "after": after})
            return done.rowcount == 1

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the turn of this thread where threads must take turns; TimeoutError when it does not come."""
        if self._turns is None:
            yield
            return
        if not self._turns.acquire(timeout=self._timeout_s):
            raise TimeoutError(f"the catalog's SQLite file has been busy for {self._timeout_s:g} s")
        try:
            yield
        finally:
            self._turns.release()

    def _connect(self, _dialect: object, _record: object, cargs: list[Any], cparams: dict[str, Any]) -> object:
        limit = max(1, min(CONNECT_TIMEOUT_S, int(self._timeout_s)))
        connection = BoundedConnection.connect(*cargs, **{"connect_timeout": limit, **cparams})
        connection.limit_s = self._timeout_s
        return connection


def _ahead(connection: Any, _record: object) -> None:  # noqa: ANN401 the driver's connection
    """Let SQLite write ahead; where it cannot (a file that may only be read), it stays as it is."""
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")
