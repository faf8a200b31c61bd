"""Outbound webhooks, from outside: nine definitions as OpenMetadata's users write them, and who is told of what.

Events are posted, and made by real changes: a source, a stream that starts, a table that advances. Each entity's name
holds a marker; a receiver got an event if its marker is in what came there, whatever the form of the message.
One event comes from OpenMetadata itself, through a source.
"""

import base64
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.client import Caller, Server, eventually
from tests.system.receiver import Receiver, receiving

pytestmark = pytest.mark.system
VENDOR_ID = "5a3c1c52-6f0e-4a58-9b39-3f6c6d1f3a77"
ALL = ("entityCreated", "entityUpdated", "entityDeleted")
SALES = {"domain": {"type": "domain", "name": "Sales"}}
TAGGED = {"tags": [{"tagFQN": "PII.Sensitive"}]}


def filters(*kinds: str, entities: list[str], **more: list[str]) -> list[dict[str, Any]]:
    return [{"eventType": kind, "entities": entities, **more} for kind in kinds]


DEFINITIONS: dict[str, dict[str, Any]] = {
    "SlackTableNotifications": {
        "webhookType": "Slack",
        "headers": {"Content-Type": "application/json"},
        "owner": {"type": "team", "name": "DataEngineering"},
        "batchSize": 1,
        "eventFilters": [
            *filters("entityCreated", entities=["table"]),
            *filters("entityUpdated", entities=["table"], include=["tags", "owner", "description"]),
        ],
    },
    "quality": {
        "batchSize": 5,
        "eventFilters": filters("entityUpdated", entities=["testCase"], include=["testCaseResult"]),
        "headers": {"Authorization": "Token token=key"},
        "tags": [{"tagFQN": "Integration.PagerDuty"}],
    },
    "custom-app": {
        "webhookType": "Custom",
        "eventFilters": filters(*ALL, entities=["*"]),
        "secretKey": "a-secret-of-many-bytes",
        "domain": {"type": "domain", "name": "Operations"},
    },
    "teams-critical": {
        "webhookType": "MSTeams",
        "batchSize": 1,
        "eventFilters": [
            *filters("entityDeleted", entities=["table", "dashboard", "pipeline"]),
            *filters("entityUpdated", entities=["policy"], include=["rules"]),
        ],
    },
    "owners-followers": {
        "batchSize": 5,
        "eventFilters": filters(
            "entityUpdated", entities=["table", "dashboard"], include=["description", "tags", "tier"]
        ),
        "sendToOwners": True,
        "sendToFollowers": True,
    },
    "sales-domain": {
        "webhookType": "Slack",
        "batchSize": 3,
        "eventFilters": filters(
            "entityCreated", "entityUpdated", entities=["table", "dashboard"], include=["domain:Sales"]
        ),
    },
    "admins": {
        "eventFilters": filters("entityDeleted", "entitySoftDeleted", entities=["*"]),
        "endpoint": None,
        "sendToAdmins": True,
    },
    "personal-data": {
        "eventFilters": filters(
            "entityUpdated", entities=["*"], include=["tag:PII"], exclude=["description", "owner:bot"]
        ),
    },
    "operations": {
        "webhookType": "GoogleChat",
        "batchSize": 1,
        "eventFilters": [
            *filters("entityCreated", entities=["source"]),
            *filters("entityUpdated", entities=["stream"], include=["state"]),
        ],
    },
}
"""Name -> definition; members of webhookConfig stand beside the others here."""
ADVANCES = {
    "eventFilters": filters("entityUpdated", entities=["table"], include=["snapshot"], exclude=["tag:Hookberg.System"])
}
CONFIG = ("endpoint", "headers", "secretKey", "sendToOwners", "sendToFollowers", "sendToAdmins")

POSTED: dict[str, tuple[str, str, list[str], dict[str, Any], set[str]]] = {
    "ev01": ("entityCreated", "table", [], SALES, {"SlackTableNotifications", "custom-app", "sales-domain"}),
    "ev02": (
        "entityUpdated",
        "table",
        ["description"],
        {"owner": {"type": "user", "name": "jane"}},
        {"SlackTableNotifications", "custom-app", "owners-followers", "jane"},
    ),
    "ev03": ("entityUpdated", "table", ["columns.total.dataType"], {}, {"custom-app"}),
    "ev04": ("entityUpdated", "testCase", ["testCaseResult"], {}, {"quality", "custom-app"}),
    "ev05": ("entityUpdated", "testCase", ["description"], {}, {"custom-app"}),
    "ev06": ("entityDeleted", "pipeline", [], {}, {"teams-critical", "custom-app", "ann"}),
    "ev07": ("entitySoftDeleted", "table", [], {}, {"ann"}),
    "ev08": ("entityUpdated", "policy", ["rules.2"], {}, {"teams-critical", "custom-app"}),
    "ev09": (
        "entityUpdated",
        "dashboard",
        ["tags"],
        {"owners": [{"type": "team", "name": "governance"}, {"type": "user", "name": "nobody"}]},
        {"owners-followers", "max", "custom-app"},
    ),
    "ev10-followed": (
        "entityUpdated",
        "table",
        ["description", "tier"],
        SALES,
        {"SlackTableNotifications", "custom-app", "owners-followers", "fay", "sales-domain"},
    ),
    "ev11": ("entityUpdated", "container", ["columns"], TAGGED, {"personal-data", "custom-app"}),
    "ev12": ("entityUpdated", "container", ["description"], TAGGED, {"custom-app"}),
    "ev13": ("entityUpdated", "container", ["columns"], {**TAGGED, "owner": "bot"}, {"custom-app"}),
}
"""Marker -> type, entity type, changed fields, the entity, and who is told."""
CONTACTS: list[dict[str, Any]] = [
    {"name": "ann", "admin": True},
    {"name": "bob", "admin": True, "endpoint": None},
    {"name": "jane"},
    {"name": "governance", "type": "team", "endpoint": None},
    {"name": "max", "teams": ["governance"]},
    {"name": "fay", "follows": ["table:*-followed"]},
]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def make(caller: Caller, receiver: Receiver, name: str, definition: dict[str, Any]) -> str:
    config = {"endpoint": receiver.url(name), **{each: definition[each] for each in CONFIG if each in definition}}
    rest = {each: value for each, value in definition.items() if each not in CONFIG}
    made = caller.call("POST", "/api/v1/webhooks", {"name": name, **rest, "webhookConfig": config}, expect=201)
    return str(made["id"])


def told(marker: str) -> dict[str, Any]:
    kind, of, changed, entity, _ = POSTED[marker]
    fields = [{"name": name, "oldValue": "a", "newValue": "b"} for name in changed]
    return {
        "eventId": f"posted-{marker}",
        "eventType": kind,
        "entityType": of,
        "entityId": f"id-of-{of}",
        "entityFullyQualifiedName": f"wh.{marker}",
        "entity": {"name": marker, **entity},
        "changeDescription": {"fieldsUpdated": fields},
    }


def got(receiver: Receiver, name: str) -> set[str]:
    return {found for each in receiver.at(name) for found in re.findall(r"ev\d\d(?:-followed)?", each.body.decode())}


def events_at(receiver: Receiver, name: str) -> list[dict[str, Any]]:
    """Return the events that came in the generic form."""
    bodies = [json.loads(each.body) for each in receiver.at(name)]
    return [event for body in bodies for event in (body if isinstance(body, list) else [body])]


def test_nine_definitions_tell_whom_they_name_of_what_they_name(server: Server, receiver: Receiver) -> None:
    caller = server.new_tenant("hooks")
    for each in CONTACTS:
        contact = {"endpoint": receiver.url(each["name"]), **each}
        caller.call("POST", "/api/v1/contacts", contact, expect=201)
    hooks = {name: make(caller, receiver, name, each) for name, each in DEFINITIONS.items()}
    hooks["advances"] = make(caller, receiver, "advances", ADVANCES)

    answer = caller.call("POST", "/api/v1/events", [told(marker) for marker in POSTED], expect=202)
    assert answer["new"] == len(POSTED)
    assert caller.call("POST", "/api/v1/events", told("ev01"), expect=202)["new"] == 0
    caller.call("POST", "/api/v1/sources", {"platform": "shop", "name": "ev20", "auth": {"type": "none"}}, expect=201)
    caller.new_stream("ev21", "shop", "ev21_orders")

    openmetadata(caller)

    expected: dict[str, set[str]] = {name: set() for name in (*hooks, *(each["name"] for each in CONTACTS))}
    for marker, (*_, names) in POSTED.items():
        for name in names:
            expected[name].add(marker)
    expected["custom-app"] |= {"ev20", "ev21", "ev30"}
    expected["operations"] = {"ev20", "ev21"}

    def all_came() -> bool:
        return all(got(receiver, name) >= markers for name, markers in expected.items())

    def advanced() -> bool:
        caller.post_event("shop", b'{"id":"1","type":"order.paid"}', {"X-Webhook-Id": "1"})
        return bool(got(receiver, "advances"))

    eventually("everybody was told", all_came)
    eventually("the table's advance was told", advanced)
    expected["advances"] = {"ev21"}

    def nothing_waits() -> bool:
        path = "/api/v1/webhooks/{}/deliveries?state=pending"
        return not any(caller.call("GET", path.format(hook))["items"] for hook in hooks.values())

    eventually("nothing waits", nothing_waits)
    assert {name: got(receiver, name) for name in expected} == expected
    once(receiver)
    snapshot = events_at(receiver, "advances")[0]
    assert snapshot["entity"]["fullyQualifiedName"].endswith(".ev21_orders")
    assert [each["name"] for each in snapshot["changeDescription"]["fieldsUpdated"]] == ["snapshot"]


def openmetadata(caller: Caller) -> None:
    """Send a ChangeEvent as OpenMetadata does, to a source for it."""
    auth = {"type": "openmetadata", "secrets": ["the-shared-secret"]}
    source = {"platform": "openmetadata", "name": "catalogue", "auth": auth}
    caller.call("POST", "/api/v1/sources", source, expect=201)
    told = {"id": VENDOR_ID, "eventType": "entityFieldsChanged", "entityType": "topic", "entityId": "t",
            "timestamp": 1_700_000_000_000, "entity": json.dumps({"name": "ev30"})}  # fmt: skip
    body = json.dumps(told).encode()
    mac = base64.b64encode(hmac.digest(b"the-shared-secret", body, "sha256")).decode()
    assert caller.post_event("openmetadata", body, {"X-OM-Signature": f"sha256={mac}"}).status == 200


def once(receiver: Receiver) -> None:
    """Assert that the generic receivers got each event once, as it was posted."""
    for name in ("quality", "custom-app", "owners-followers", "personal-data", "ann", "jane", "max", "fay"):
        found = [event for event in events_at(receiver, name) if event["eventId"].startswith("posted-")]
        markers = [event["eventId"].removeprefix("posted-") for event in found]
        assert sorted(markers) == sorted(set(markers)), name
        for event, marker in zip(found, markers, strict=True):
            kind, of, changed, _, _ = POSTED[marker]
            assert (event["eventType"], event["entity"]["type"], event["entity"]["name"]) == (kind, of, marker)
            assert [each["name"] for each in event["changeDescription"]["fieldsUpdated"]] == changed
    state = [event for event in events_at(receiver, "custom-app") if "ev21" in json.dumps(event["entity"]["name"])]
    assert [event["eventType"] for event in state][:2] == ["entityCreated", "entityUpdated"]
    [vendor] = [event for event in events_at(receiver, "custom-app") if event["entity"]["name"] == "ev30"]
    assert (vendor["eventId"], vendor["eventType"], vendor["timestamp"]) == (
        VENDOR_ID,
        "entityUpdated",
        1_700_000_000_000,
    )
    [field] = state[1]["changeDescription"]["fieldsUpdated"]
    assert field == {"name": "state", "oldValue": "stopped", "newValue": "running"}
    assert receiver.at("quality")[0].headers["authorization"] == "Token token=key"
