"""One code path to SQLite and PostgreSQL: engine, transactions, and what their errors mean.

Lives here: how a transaction begins and ends. Not here: tables and queries.
SQLite: WAL, BEGIN IMMEDIATE for writes. PostgreSQL: an advisory lock orders the transactions that change definitions,
so revisions commit in order and a poller misses none (https://www.postgresql.org/docs/current/explicit-locking.html).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from schemas.errors import ConfigurationError, Refused
from schemas.reasons import Reason

_LOCK = 0x686F6F6B62657267
"""The advisory lock of changes: "hookberg" in ASCII."""
_WRITES = "hookberg_writes"
_BUSY_MS = 10_000
_POOL = 8
_POSTGRES = {
    "connect_timeout": 3,
    "tcp_user_timeout": 5_000,
    "application_name": "hookberg",
    "options": f"-c statement_timeout=30000 -c lock_timeout={_BUSY_MS}",
}
MISSING_TABLE = "the registry's tables are missing: run `hookberg migrate`"


class Database:
    """The engine behind the registry; `url` is a SQLAlchemy URL of SQLite (a file) or PostgreSQL (psycopg)."""

    def __init__(self, url: str) -> None:
        parsed = _parsed(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        self._engine = _engine(parsed, sqlite=self.sqlite)

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """Yield a connection in a read transaction; `snapshot`: all its statements see one moment."""
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if snapshot and not self.sqlite else {}
        with self._transaction(options) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose statements commit together; for what has no revision (states, tallies, leases)."""
        with self._transaction({_WRITES: True}) as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """Yield a connection for a change of definitions: one such transaction at a time, whichever process."""
        with self._transaction({_WRITES: True}) as connection:
            self.serialise(connection)
            yield connection

    def serialise(self, connection: Connection) -> None:
        """Make a transaction of `write()` one of `change()` from here on; it should hold no row's lock yet."""
        if not self.sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})

    def close(self) -> None:
        """Close all pooled connections."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, options: dict[str, Any]) -> Iterator[Connection]:
        try:
            with self._engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except (OperationalError, InterfaceError, PoolTimeoutError) as exc:
            if "no such table" in str(exc):
                raise ConfigurationError(MISSING_TABLE) from exc
            raise Refused(Reason.REGISTRY_AWAY, f"the registry database cannot be reached: {_cause(exc)}") from exc
        except DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) == "42P01":
                raise ConfigurationError(MISSING_TABLE) from exc
            if exc.connection_invalidated:
                raise Refused(Reason.REGISTRY_AWAY) from exc
            raise


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError("HOOKBERG_REGISTRY_URL is no SQLAlchemy URL; try sqlite:///registry.db") from None
    known = {"sqlite", "sqlite+pysqlite", "postgresql+psycopg", "postgresql"}
    if parsed.drivername not in known:
        raise ConfigurationError(
            f"HOOKBERG_REGISTRY_URL: {parsed.drivername} is not supported; use sqlite:///… or postgresql+psycopg://…"
        )
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise ConfigurationError("HOOKBERG_REGISTRY_URL: SQLite needs a file, for example sqlite:///registry.db")
    return parsed


def _engine(url: URL, *, sqlite: bool) -> Engine:
    try:
        if not sqlite:
            return create_engine(
                url, pool_size=_POOL, max_overflow=_POOL, pool_timeout=10, pool_pre_ping=True, connect_args=_POSTGRES
            )
        engine = create_engine(url, pool_size=_POOL, max_overflow=_POOL, pool_timeout=10)
    except NoSuchModuleError as exc:
        raise ConfigurationError(f"HOOKBERG_REGISTRY_URL: {exc}") from exc
    event.listen(engine, "connect", _sqlite_connect)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connect(connection: Any, _record: Any) -> None:  # noqa: ANN401 DBAPI connection
    connection.isolation_level = None  # the driver must not begin transactions of its own
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _cause(exc: Exception) -> str:
    """Return the driver's first line; it names host and port, never the password."""
    return str(getattr(exc, "orig", None) or exc).strip().split("\n", 1)[0][:200]
