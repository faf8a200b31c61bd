"""What records of topics tell: a table's commit, OpenMetadata's change events in the forms of its releases."""

from typing import Any

import msgspec
import orjson
import pytest

from schemas.definitions.view import TopicView
from schemas.errors import Poison
from schemas.wire.entity_event import Delta, EntityEvent, EventType, event_id
from schemas.wire.table import Advanced, encode
from sinks.notify.feeds import openmetadata, tables
from sinks.notify.match.filters import wants
from sinks.notify.match.tenant import Matcher
from tests.unit.sinks.notify.make import CREATED_MS, webhook

COMMIT = Advanced(
    "acme", "s1", "acme", "orders", "0c0c0c0c-0000-4000-8000-000000000001", 7, 5_000, 1 << 62, 40, 4, None
)
SNAPSHOTS = [{"eventType": "entityUpdated", "include": ["snapshot"], "exclude": ["tag:Hookberg.System"]}]


def test_a_tables_commit_is_an_update_of_its_snapshot() -> None:
    event, at_ms = tables.read("acme", encode(COMMIT))
    snapshot = {"snapshotId": str(1 << 62), "rows": 40, "addedRows": 4, "newestEventTime": None}
    assert (event.event_id, at_ms) == (COMMIT.id, 5_000)
    assert (event.entity_type, event.entity_name, event.entity_id) == ("table", "acme.orders", COMMIT.table_uuid)
    assert event.change.updated == (Delta("snapshot", None, snapshot),)
    assert (event.entity["snapshot"], event.entity["href"]) == (snapshot, "/api/v1/streams/s1/table")


def test_tables_of_no_stream_can_be_left_out() -> None:
    ours = msgspec.structs.replace(COMMIT, stream_id=None)
    listening = webhook(filters=SNAPSHOTS)
    assert wants(listening, tables.event_of("acme", COMMIT))
    assert not wants(listening, tables.event_of("acme", ours))


def test_only_tenants_that_want_them_have_their_topics_read() -> None:
    def topic(kind: str, platform: str) -> TopicView:
        return TopicView("t", "id", "acme", kind, platform, 1, "", paused=False)

    wanting, other = Matcher([webhook(filters=SNAPSHOTS)]), Matcher([webhook()])
    table, clean, github = topic("table", ""), topic("event", "openmetadata"), topic("event", "github")
    assert [tables.listens(each, wanting) for each in (table, clean)] == [CREATED_MS, None]
    assert tables.listens(table, other) is None
    told = [openmetadata.listens(each, other) for each in (table, clean, github)]
    assert told == [None, CREATED_MS, None]


def clean(payload: Any) -> bytes:
    return orjson.dumps({"eventId": "own", "receivedAt": "2026-03-18T10:00:00.456Z", "payload": payload})


ENTITY = {"id": "t1", "name": "orders", "owners": [{"name": "jane", "type": "user"}]}
CHANGE = {
    "id": "11111111-0000-4000-8000-000000000001",
    "eventType": "entityUpdated",
    "entityType": "table",
    "entityId": "t1",
    "entityFullyQualifiedName": "wh.orders",
    "userName": "ada",
    "timestamp": 1_700_000_000_000,
    "previousVersion": 0.1,
    "changeDescription": {
        "fieldsAdded": [{"name": "tags", "newValue": "[]"}],
        "fieldsUpdated": [{"name": "description", "oldValue": "a", "newValue": "b"}],
        "fieldsDeleted": [],
    },
    "entity": ENTITY,
}


def read(payload: Any) -> EntityEvent | None:
    event, at_ms = openmetadata.read("acme", clean(payload))
    assert at_ms == 1_773_828_000_456
    return event


@pytest.mark.parametrize("entity", [ENTITY, orjson.dumps(ENTITY).decode()])
def test_openmetadatas_change_event_keeps_its_id_and_entity(entity: Any) -> None:
    event = read({**CHANGE, "entity": entity})
    assert event is not None
    assert event.event_id == CHANGE["id"]
    assert event.entity == {"type": "table", **ENTITY}
    assert event.change.names() == {"tags", "description"}
    assert event.change.previous_version == 0.1
    assert (event.user, event.at_ms, event.entity_name) == ("ada", 1_700_000_000_000, "wh.orders")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("entityCreated", EventType.CREATED),
        ("entityUpdated", EventType.UPDATED),
        ("entityFieldsChanged", EventType.UPDATED),
        ("entityRestored", EventType.UPDATED),
        ("entitySoftDeleted", EventType.SOFT_DELETED),
        ("entityDeleted", EventType.DELETED),
        ("entityNoChange", None),
        ("threadCreated", None),
        (None, None),
    ],
)
def test_openmetadatas_words(theirs: str | None, ours: EventType | None) -> None:
    event = read({**CHANGE, "eventType": theirs})
    assert (None if event is None else event.event_type) is ours


def test_an_id_that_does_not_fit_is_ours_and_always_the_same() -> None:
    for given in ("x" * 37, "", None, 7, "ü"):
        event = read({**CHANGE, "id": given})
        assert event is not None
        assert event.event_id == event_id("openmetadata", "own")


def test_what_is_large_is_told_by_its_main_members() -> None:
    event = read(
        {
            **CHANGE,
            "entity": {**ENTITY, "columns": ["x" * 1000] * 300},
            "changeDescription": {"fieldsUpdated": [{"name": "columns", "oldValue": "y" * 300_000}]},
        }
    )
    assert event is not None
    assert event.entity == {
        "id": "t1",
        "name": "orders",
        "type": "table",
        "owners": ENTITY["owners"],
        "truncated": True,
    }
    assert event.change.updated == (Delta("columns"),)


@pytest.mark.parametrize("junk", [7, None, [], {}, {"eventType": "entityCreated"}, {**CHANGE, "entityType": 7}])
def test_what_is_no_change_of_an_entity_is_none(junk: Any) -> None:
    assert read(junk) is None


@pytest.mark.parametrize(
    "value", [b"", b"x", b"[]", b"7", b'{"payload":{}}', b'{"payload":{},"eventId":1,"receivedAt":7}']
)
def test_what_is_no_clean_event_is_poison(value: bytes) -> None:
    with pytest.raises(Poison):
        openmetadata.read("acme", value)
    with pytest.raises(Poison):
        tables.read("acme", value)


@pytest.mark.parametrize(
    "description",
    [7, [], {"fieldsAdded": 7}, {"fieldsUpdated": [7, {}, {"name": 7}, {"name": ""}]}, {"previousVersion": "x"}],
)
def test_a_description_of_any_form_tells_what_can_be_read(description: Any) -> None:
    event = read({**CHANGE, "changeDescription": description, "entity": "no json", "timestamp": "x"})
    assert event is not None
    assert event.change.names() == frozenset()
    assert event.entity == {"id": "t1", "type": "table"}
    assert event.at_ms == 1_773_828_000_456
