"""Upsert tables from outside: REST makes them, SQL shows the latest version of each key, the audit proves the rest."""

import json
from typing import Any

import pytest

from tests.system import lake
from tests.system.client import Caller, Server, eventually
from tests.system.commands import audit

pytestmark = pytest.mark.system

KEY = {"writeMode": "upsert", "primaryKey": ["shop", "id"], "sequenceField": "version"}
GONE = {"deleteWhen": {"path": "/status", "in": ["cancelled"]}}
EVENTS = [
    {"shop": "north", "id": 1, "version": 1, "status": "open", "event": "n1.1"},
    {"shop": "north", "id": 2, "version": 1, "status": "open", "event": "n2.1"},
    {"shop": "south", "id": 1, "version": 4, "status": "paid", "event": "s1.4"},
    {"shop": "north", "id": 1, "version": 3, "status": "paid", "event": "n1.3"},
    {"shop": "north", "id": 1, "version": 2, "status": "open", "event": "n1.2, late"},
    {"shop": "north", "id": 2, "version": 2, "status": "cancelled", "event": "n2.2, a tombstone"},
    {"shop": "north", "id": 2, "version": 1.5, "status": "open", "event": "n2.1.5, older than the tombstone"},
    {"shop": "south", "status": "open", "event": "no key"},
]
LATEST = [("n1.3", "north", 1), ("no key", "south", None), ("s1.4", "south", 1)]
AGAIN = {"shop": "north", "id": 2, "version": 3, "status": "open", "event": "n2.3"}


@pytest.fixture(scope="module")
def shop(server: Server) -> Caller:
    caller = server.new_tenant("upsert")
    source = {"platform": "orders", "auth": {"type": "none"}, "dedupe": {"path": "/event"}}
    caller.call("POST", "/api/v1/sources", source, expect=201)
    caller.new_stream("state", "orders", "state", layout="flat", **KEY, **GONE)
    caller.new_stream("stitch", "orders", "", columnNames="stitch", **KEY)
    for event in EVENTS:
        assert caller.post_event("orders", json.dumps(event).encode()).status == 200
    return caller


def rows(caller: Caller, table: str = "state", space: str = "") -> list[Any]:
    space = space or str(caller.tenant)
    if not lake.count(caller.server.data_dir, space, table):
        return []
    return sorted(
        lake.duckdb_rows(caller.server.data_dir, space, table, "event, shop, id"), key=lambda row: str(row[0])
    )


def settled(caller: Caller, found: list[Any]) -> None:
    eventually(f"{len(found)} rows", lambda: rows(caller) == found)


def test_sql_shows_the_latest_version_of_each_key(shop: Caller) -> None:
    settled(shop, LATEST)
    told = shop.call("GET", "/api/v1/streams/state/table")
    assert (told["writeMode"], told["primaryKey"]) == ("upsert", ["shop", "id"])
    read = lake.rows(shop.server.data_dir, str(shop.tenant), "state", "event")
    assert sorted(str(row["event"]) for row in read) == [event for event, _, _ in LATEST], "pyiceberg agrees"


def test_a_deleted_key_comes_back_with_a_newer_version_only(shop: Caller) -> None:
    settled(shop, LATEST)
    assert shop.post_event("orders", json.dumps(AGAIN).encode()).status == 200
    settled(shop, sorted([*LATEST, ("n2.3", "north", 2)]))


def test_the_key_never_changes_and_what_deletes_may(shop: Caller) -> None:
    merge = {"Content-Type": "application/merge-patch+json"}
    for change in ({"primaryKey": ["id"]}, {"sequenceField": "id"}, {"writeMode": "append"}):
        refused = shop.send("PATCH", "/api/v1/streams/stitch", change, merge)
        assert (refused.status, refused.reason) == (409, "immutable"), change
    more = {"deleteWhen": {"path": "/status", "in": ["cancelled", "void"]}}
    assert shop.send("PATCH", "/api/v1/streams/state", more, merge).status == 200


def test_stitchs_columns_stand_in_an_upsert_table_too(shop: Caller) -> None:
    space = f"{shop.tenant}__stitch"
    kept = 1 + len(LATEST)  # nothing deletes here

    def numbered() -> bool:
        if not lake.count(shop.server.data_dir, space, "data"):
            return False
        asked = "count(*), count(DISTINCT _sdc_sequence)"
        (found,) = lake.duckdb_rows(shop.server.data_dir, space, "data", asked)
        return bool(found == (kept, kept))

    eventually("the latest of each key, numbered", numbered)


def test_the_audit_counts_what_was_replaced(shop: Caller) -> None:
    assert shop.tenant is not None
    eventually("all is committed", lambda: len(rows(shop)) >= len(LATEST))
    code, said = audit(shop.server.data_dir, "--tenant", shop.tenant)
    assert code == 0, said
