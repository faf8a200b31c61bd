"""Every change of the control plane is in the audit log: who, what, when, in the transaction that made the change.

Walks the table of routes: a new route that changes something and is not in CALLS fails.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from ingress.api.table import ROUTES
from schemas.backing.registry.tables import METADATA
from tests.contract.registry import outbound_rows as outbound
from tests.integration.api.world import SOURCE, STREAM, WEBHOOK, Api

READS = {("POST", "/sources/{id}/verify")}
"""POST routes that change nothing: they are held to it."""
DATA = {("POST", "/events")}
"""Routes that take data, as ingest does: no definition changes, and the data is kept itself."""
UNAUDITED = {"idempotency", "tallies", "refusals", "stream_states"}
"""Tables that hold no definitions: answers kept for a day, counters, what a writer says of itself."""
_WORDS = {"INSERT INTO": 2, "UPDATE": 1, "DELETE FROM": 2}
CALLS: dict[tuple[str, str], tuple[str, Any, str, str]] = {
    ("POST", "/tenants"): ("/tenants", {"id": "acme"}, "tenant", "created"),
    ("DELETE", "/tenants/{id}"): ("/tenants/spare", None, "tenant", "deleted"),
    ("POST", "/keys"): ("/keys", {"permissions": ["streams:read"], "name": "edge"}, "key", "created"),
    ("DELETE", "/keys/{id}"): ("/keys/{key}", None, "key", "deleted"),
    ("POST", "/sources"): ("/sources", {**SOURCE, "name": "fourth"}, "source", "created"),
    ("PUT", "/sources/{id}"): ("/sources/third", {**SOURCE, "name": "third"}, "source", "created"),
    ("PATCH", "/sources/{id}"): ("/sources/github-main", {"enabled": False}, "source", "updated"),
    ("DELETE", "/sources/{id}"): ("/sources/second", None, "source", "deleted"),
    ("POST", "/sources/{id}/urls"): ("/sources/github-main/urls", None, "source", "updated"),
    ("DELETE", "/sources/{id}/urls/{urlId}"): ("/sources/github-main/urls/{url}", None, "source", "updated"),
    ("POST", "/sources/{id}/secrets"): ("/sources/github-main/secrets", {"secret": "another one"}, "source", "updated"),
    ("DELETE", "/sources/{id}/secrets/{secretId}"): (
        "/sources/github-main/secrets/{secret}", None, "source", "updated",
    ),
    ("POST", "/schemas"): ("/schemas", {"subject": "github.push"}, "subject", "created"),
    ("DELETE", "/schemas/{subject}"): ("/schemas/spare", None, "subject", "deleted"),
    ("POST", "/schemas/{subject}/versions"): (
        "/schemas/order/versions", {"schema": {"type": "object"}}, "subject", "updated",
    ),
    ("PATCH", "/schemas/{subject}"): ("/schemas/order", {"compatibility": "backward"}, "subject", "updated"),
    ("POST", "/schemas/{subject}/dry-run"): ("/schemas/order/dry-run", {"schema": {}}, "job", "created"),
    ("POST", "/streams"): ("/streams", {**STREAM, "name": "other", "targetTable": "other"}, "stream", "created"),
    ("PUT", "/streams/{id}"): (
        "/streams/slack-events", {**STREAM, "description": "replaced"}, "stream", "updated",
    ),
    ("PATCH", "/streams/{id}"): ("/streams/slack-events", {"description": "changed"}, "stream", "updated"),
    ("DELETE", "/streams/{id}"): ("/streams/spare?dropTable=true", None, "stream", "deleted"),
    ("POST", "/roles"): ("/roles", {"role": "webhook.github.push", "target": "other"}, "role", "created"),
    ("PATCH", "/roles/{id}"): ("/roles/all-of-it", {"description": "changed"}, "role", "updated"),
    ("DELETE", "/roles/{id}"): ("/roles/spare", None, "role", "deleted"),
    ("POST", "/webhooks"): ("/webhooks", {**WEBHOOK, "name": "another"}, "webhook", "created"),
    ("PUT", "/webhooks"): ("/webhooks", {**WEBHOOK, "name": "third"}, "webhook", "created"),
    ("PUT", "/webhooks/restore"): ("/webhooks/restore", {"id": "{gone}"}, "webhook", "updated"),
    ("PUT", "/webhooks/{uuid}"): (
        "/webhooks/{webhook}", {**WEBHOOK, "name": "webhook", "description": "replaced"}, "webhook", "updated",
    ),
    ("PATCH", "/webhooks/{uuid}"): ("/webhooks/{webhook}", {"description": "changed"}, "webhook", "updated"),
    ("DELETE", "/webhooks/{uuid}"): ("/webhooks/{spare}?hardDelete=true", None, "webhook", "deleted"),
    ("POST", "/webhooks/{uuid}/restore"): ("/webhooks/{lost}/restore", None, "webhook", "updated"),
    ("POST", "/contacts"): ("/contacts", {"name": "ops"}, "contact", "created"),
    ("PUT", "/contacts/{id}"): ("/contacts/others", {"name": "others"}, "contact", "created"),
    ("PATCH", "/contacts/{id}"): ("/contacts/admins", {"admin": True}, "contact", "updated"),
    ("DELETE", "/contacts/{id}"): ("/contacts/spare", None, "contact", "deleted"),
    ("POST", "/quarantine/redrive"): ("/quarantine/redrive", {"source": "github-main"}, "job", "created"),
    ("POST", "/streams/{id}/start"): ("/streams/slack-events/start", None, "stream", "updated"),
    ("POST", "/streams/{id}/stop"): ("/streams/running/stop", None, "stream", "updated"),
    ("POST", "/streams/{id}/sweep"): ("/streams/slack-events/sweep", None, "job", "created"),
    ("POST", "/webhooks/{uuid}/deliveries/{deliveryId}/resend"): (
        "/webhooks/{webhook}/deliveries/{delivery}/resend", None, "webhookRequest", "created",
    ),
    ("POST", "/webhooks/{uuid}/resend"): ("/webhooks/{webhook}/resend", {"since": 0}, "webhookRequest", "created"),
    ("POST", "/webhooks/{uuid}/test"): ("/webhooks/{webhook}/test", None, "webhookRequest", "created"),
    ("POST", "/streams/{id}/restart"): ("/streams/slack-events/restart", None, "stream", "updated"),
}  # fmt: skip
"""Of each route that changes something: a call that succeeds, and the kind and the deed of the row that it leaves."""
HOOKS = ("webhook", "spare", "gone", "lost")
CHANGING = [route for route in ROUTES if route.method != "GET" and (route.method, route.path) not in READS | DATA]


@pytest.fixture
async def made(api: Api) -> dict[str, str]:
    """Make one of everything; return the ids that paths name."""
    await api.make("/tenants", {"id": "spare"})
    source = await api.make("/sources", SOURCE)
    await api.make("/sources", {**SOURCE, "name": "second"})
    await api.make("/sources/github-main/secrets", {"secret": "a further one"})
    await api.make("/streams", STREAM)
    for name in ("running", "spare"):
        await api.make("/streams", {**STREAM, "name": name, "targetTable": name})
    assert (await api.send("POST", "/streams/running/start")).status == 200
    for subject in ("order", "spare"):
        await api.make("/schemas", {"subject": subject})
    for name in ("all-of-it", "spare"):
        await api.make("/roles", {"role": "webhook.*", "target": name, "name": name})
    key = await api.make("/keys", {"permissions": ["streams:read"], "name": "old"})
    hooks = {name: (await api.make("/webhooks", {**WEBHOOK, "name": name}))["id"] for name in HOOKS}
    for name in ("gone", "lost"):
        assert (await api.send("DELETE", f"/webhooks/{hooks[name]}")).status == 200
    for name in ("admins", "spare"):
        await api.make("/contacts", {"name": name})
    outbound.delivery(api.env.registry, "first", hooks["webhook"], tenant_id="default")
    return {
        "key": key["id"],
        "url": source["urls"][0]["id"],
        "secret": source["secrets"][0]["id"],
        "delivery": "first",
        **hooks,
    }


def test_the_walk_knows_every_route_that_changes_something() -> None:
    assert {(route.method, route.path) for route in CHANGING} == set(CALLS)
    assert {(route.method, route.path) for route in ROUTES} >= READS | DATA


async def test_every_change_leaves_who_what_and_when(api: Api, made: dict[str, str]) -> None:
    caller = next(each.id for each in api.env.view.current().keys.values() if each.name == "admin")
    for route in CHANGING:
        path, body, entity, op = CALLS[route.method, route.path]
        before, began = await newest(api), datetime.now(UTC) - timedelta(seconds=1)
        with transactions(api) as done:
            reply = await api.send(route.method, path.format(**made), named(body, made))
        assert reply.status in {route.status, *route.also}, (route, reply)
        rows = [row for row in (await api.send("GET", "/audit?limit=200")).json["items"] if row["revision"] > before]
        assert (entity, op) in {(row["entityType"], row["op"]) for row in rows}, route
        for row in rows:
            assert (row["actor"], row["requestId"]) == (caller, reply.headers["X-Request-Id"]), (route, row)
            assert began <= datetime.fromisoformat(row["at"]) <= datetime.now(UTC), (route, row)
            assert row["entityId"], (route, row)
        assert done, (route, "nothing was written")
        assert [tables for tables in done if "changes" not in tables] == [], (route, "a transaction without its row")
        assert len(rows) >= len(done), route


async def test_a_change_that_cannot_be_logged_is_not_made(
    api: Api, made: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_named: object) -> int:
        raise OSError("the log of changes is full")

    monkeypatch.setattr(type(api.env.registry.changes), "append", fail)
    before = dump(api)
    for route in CHANGING:
        path, body, *_ = CALLS[route.method, route.path]
        reply = await api.send(route.method, path.format(**made), named(body, made))
        assert (reply.status, reply.reason) == (500, "internal"), route
        assert dump(api) == before, route


async def test_what_reads_changes_nothing(api: Api, made: dict[str, str]) -> None:
    names = {"sources": "github-main", "streams": "slack-events", "schemas": "order", "keys": made["key"]}
    names |= {"roles": "spare", "webhooks": made["webhook"], "contacts": "spare"}
    before = dump(api)
    for route in ROUTES:
        if route in CHANGING or (route.method, route.path) in DATA:
            continue
        name = names.get(route.tag, "default")
        path = "/".join(name if part.startswith("{") else part for part in route.path.split("/"))
        body = {"headers": [], "body": "{}", "url": "/in/x"} if route.method == "POST" else None
        reply = await api.send(route.method, path, body)
        assert reply.status in {200, 404}, (route, reply)
        assert dump(api) == before, route


def named(body: Any, made: dict[str, str]) -> Any:
    """Return a body whose id is the one of an object that was made."""
    return {"id": body["id"].format(**made)} if isinstance(body, dict) and "id" in body else body


async def newest(api: Api) -> int:
    """Return the newest revision."""
    return int((await api.send("GET", "/audit?limit=1")).json["items"][0]["revision"])


def dump(api: Api) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """Return every row of every table."""
    with api.env.registry._database.read() as connection:
        return [(table.name, [tuple(row) for row in connection.execute(table.select())]) for table in
                METADATA.sorted_tables]  # fmt: skip


@contextmanager
def transactions(api: Api) -> Iterator[list[set[str]]]:
    """Yield what becomes the list of committed transactions: the tables of definitions that each wrote to."""
    engine: Engine = api.env.registry._database._engine
    done: list[set[str]] = []

    def wrote(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        for words, at in _WORDS.items():
            if statement.startswith(words):
                connection.info.setdefault("wrote", set()).add(statement.split()[at].strip('"'))

    def committed(connection: Connection) -> None:
        tables = connection.info.pop("wrote", set()) - UNAUDITED
        if tables:
            done.append(tables)

    def undone(connection: Connection) -> None:
        connection.info.pop("wrote", None)

    listeners = (("after_cursor_execute", wrote), ("commit", committed), ("rollback", undone))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield done
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)
