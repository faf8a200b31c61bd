"""A SQL catalog that a PostgreSQL server which has stopped answering does not hold for ever.

Lives here: `BoundedSql`. May not live here: the registry's connections (schemas/backing/registry).
libpq bounds the making of a connection (`connect_timeout`) and what lies unsent, not the wait for an answer. SQLite
waits 5 s for a lock by itself. https://www.postgresql.org/docs/current/libpq-connect.html
"""

from typing import Any

import psycopg
from psycopg.abc import PQGen
from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy import event

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
    """pyiceberg's SQL catalog with `timeout_s` seconds for each answer of PostgreSQL."""

    def __init__(self, name: str, *, timeout_s: float, **properties: Any) -> None:  # noqa: ANN401 as pyiceberg has it
        self._timeout_s = timeout_s
        super().__init__(name, **properties)

    def _init_catalog(self) -> None:
        """Look for the catalog's tables, and make them; by connections that have the limit already."""
        if self.engine.dialect.driver == "psycopg":
            event.listen(self.engine, "do_connect", self._connect)
        super()._init_catalog()

    def _connect(self, _dialect: object, _record: object, cargs: list[Any], cparams: dict[str, Any]) -> object:
        limit = max(1, min(CONNECT_TIMEOUT_S, int(self._timeout_s)))
        connection = BoundedConnection.connect(*cargs, **{"connect_timeout": limit, **cparams})
        connection.limit_s = self._timeout_s
        return connection
