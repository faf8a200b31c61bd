"""The calls of the catalog: what each answers, for a caller who sees some tenants.

Lives here: handlers over `ports.CatalogReader`, without HTTP types. Not here: who calls (door.py).
"""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from ingress.api.iceberg import errors, paging
from schemas import names
from schemas.definitions.view import StreamView
from schemas.ports import CatalogReader

NO_CONTENT = 204


@dataclass(frozen=True, slots=True)
class Call:
    """One permitted call; `sees` are the tenants of whose tables the caller may know; `streams` those of everybody."""

    catalog: CatalogReader
    sees: Collection[str]
    path: Mapping[str, str]
    query: Mapping[str, str]
    if_none_match: str | None
    properties: Mapping[str, str] = field(repr=False)
    streams: Collection[StreamView] = field(default=(), repr=False)

    def may_see(self, namespace: str) -> bool:
        """Tell whether a namespace is of a tenant that the caller sees."""
        return names.tenant_of(namespace) in self.sees

    async def tables(self) -> list[str]:
        """Return the tables of the namespace in the path; raise NoSuchNamespaceException."""
        namespace = self.path["namespace"]
        found = await self.catalog.tables(namespace) if self.may_see(namespace) else None
        if found is None:
            raise errors.no_namespace(namespace)
        return found

    async def latest(self, tables: Collection[str]) -> dict[str, tuple[StreamView, str]]:
        """Return the `latest` views over the tables of the namespace in the path, each with its stream and table.

        A table of such a name hides one. Of a split stream each table has one.
        """
        made: dict[str, tuple[StreamView, str]] = {}
        for stream in self.streams:
            definition = stream.definition
            namespace, own = names.namespace(stream.tenant, definition.target_table or "")
            keyed = definition.primary_key and definition.write_mode == "append"
            if not keyed or namespace != self.path["namespace"] or own not in tables:
                continue
            by_type = () if definition.split_by == "none" else await self.catalog.split_tables(stream)
            for table in (own, *by_type):
                name = names.latest_view(table)
                if table in tables and name not in tables:
                    made[name] = stream, table
        return made

    async def view(self) -> tuple[StreamView, str]:
        """Return stream and table of the view in the path; raise NoSuchViewException."""
        namespace, name = self.path["namespace"], self.path["view"]
        tables = await self.catalog.tables(namespace) if self.may_see(namespace) else None
        found = (await self.latest(tables or ())).get(name)
        if found is None:
            raise errors.no_view(namespace, name)
        return found


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a JSON value or JSON text, none for a status without a body."""

    body: Any = None
    text: bytes = field(default=b"", repr=False)
    status: int = 200
    etag: str | None = None
    secret: bool = False


Handler = Callable[[Call], Awaitable[Reply]]


async def config(_call: Call) -> Reply:
    """Say which calls there are. No prefix: the key decides what is seen, whatever `warehouse` is named."""
    return Reply({"defaults": {}, "overrides": {}, "endpoints": list(ENDPOINTS)})


async def namespaces(call: Call) -> Reply:
    """List namespaces; `parent`: those below it, of which there are none."""
    if parent := call.query.get("parent"):
        if not call.may_see(parent) or parent not in await call.catalog.namespaces():
            raise errors.no_namespace(parent)
        return Reply({"namespaces": [], "next-page-token": None})
    seen = [name for name in await call.catalog.namespaces() if call.may_see(name)]
    page, token = paging.page(seen, call.query)
    return Reply({"namespaces": [[name] for name in page], "next-page-token": token})


async def namespace(call: Call) -> Reply:
    """Show a namespace; it has no properties that a reader could use."""
    await call.tables()
    return Reply({"namespace": [call.path["namespace"]], "properties": {}})


async def has_namespace(call: Call) -> Reply:
    """Say whether a namespace exists."""
    await call.tables()
    return Reply(status=NO_CONTENT)


async def tables(call: Call) -> Reply:
    """List the tables of a namespace."""
    page, token = paging.page(await call.tables(), call.query)
    found = [{"namespace": [call.path["namespace"]], "name": name} for name in page]
    return Reply({"identifiers": found, "next-page-token": token})


async def table(call: Call) -> Reply:
    """Show a table: its metadata as the file has it, and what a reader needs to read its files."""
    space, name = call.path["namespace"], call.path["table"]
    found = await call.catalog.metadata(space, name) if call.may_see(space) else None
    if found is None:
        raise errors.no_table(space, name)
    etag = f'"{hashlib.sha256(found.location.encode()).hexdigest()[:32]}"'
    if etag in (call.if_none_match or ""):
        return Reply(status=304, etag=etag)
    config = orjson.dumps(dict(call.properties))
    head = b'{"metadata-location":' + orjson.dumps(found.location)
    text = b"".join((head, b',"metadata":', found.json, b',"config":', config, b"}"))
    return Reply(text=text, etag=etag, secret=bool(call.properties))


async def has_table(call: Call) -> Reply:
    """Say whether a table exists."""
    space, name = call.path["namespace"], call.path["table"]
    if not call.may_see(space) or not await call.catalog.exists(space, name):
        raise errors.no_table(space, name)
    return Reply(status=NO_CONTENT)


async def views(call: Call) -> Reply:
    """List the views of a namespace: the latest version of every key, of each table of a stream with a key."""
    page, token = paging.page(sorted(await call.latest(await call.tables())), call.query)
    found = [{"namespace": [call.path["namespace"]], "name": name} for name in page]
    return Reply({"identifiers": found, "next-page-token": token})


async def view(call: Call) -> Reply:
    """Show a view: its SQL for Spark, Trino and DuckDB."""
    found = await call.catalog.latest(*await call.view())
    if found is None:
        raise errors.no_view(call.path["namespace"], call.path["view"])
    return Reply({**found, "config": {}})


async def has_view(call: Call) -> Reply:
    """Say whether a view exists."""
    await call.view()
    return Reply(status=NO_CONTENT)


async def metrics(_call: Call) -> Reply:
    """Take a client's report on its own scan and forget it: Spark sends one after each."""
    return Reply(status=NO_CONTENT)


async def plan(_call: Call) -> Reply:
    """Refuse to plan scans: clients do it themselves."""
    raise errors.Failed(406, "UnsupportedOperationException", "this catalog plans no scans: plan in the client")


_NAMESPACE = "/v1/namespaces/{namespace}"
_TABLE, _VIEW = _NAMESPACE + "/tables/{table}", _NAMESPACE + "/views/{view}"
READS: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/v1/config", config),
    ("GET", "/v1/namespaces", namespaces),
    ("GET", _NAMESPACE, namespace),
    ("HEAD", _NAMESPACE, has_namespace),
    ("GET", _NAMESPACE + "/tables", tables),
    ("GET", _TABLE, table),
    ("HEAD", _TABLE, has_table),
    ("GET", _NAMESPACE + "/views", views),
    ("GET", _VIEW, view),
    ("HEAD", _VIEW, has_view),
)
POSTS: tuple[tuple[str, str, Handler], ...] = (
    ("POST", _TABLE + "/metrics", metrics),
    ("POST", _TABLE + "/plan", plan),
    ("POST", _TABLE + "/tasks", plan),
)
"""Calls that change nothing although they are POSTs; every other one is refused."""
ENDPOINTS = tuple(
    f"{method} {path.replace('/v1/', '/v1/{prefix}/', 1)}" for method, path, handler in READS if handler is not config
)
"""What `config` names, in the protocol's words (with the prefix that we leave out)."""
