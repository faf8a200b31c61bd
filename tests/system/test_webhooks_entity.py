"""The life of an outbound webhook by HTTP alone, as a client written for OpenMetadata's webhooks leads it."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.system.client import Caller, Server

pytestmark = pytest.mark.system

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
RECEIVER = "http://127.0.0.1:9/in"
"""Nothing listens there: no event of this test reaches anybody."""

WANTED: dict[str, Any] = {
    "name": "slack-tables",
    "displayName": "Tables to Slack",
    "description": "What **changes** in tables",
    "webhookType": "Slack",
    "enabled": True,
    "batchSize": 10,
    "eventFilters": [
        {"eventType": "entityCreated", "entities": ["table"]},
        {"eventType": "entityUpdated", "entities": ["table"], "include": ["snapshot", "tag:PII.Sensitive"]},
        {"eventType": "entitySoftDeleted", "entities": ["*"]},
    ],
    "webhookConfig": {"endpoint": RECEIVER, "secretKey": "a secret of the channel", "headers": {"X-Team": "data"}},
    "tags": [{"tagFQN": "Tier.Tier1", "source": "Classification", "labelType": "Manual", "state": "Confirmed"}],
    "domain": {"type": "domain", "name": "Sales"},
    "extension": {"runbook": "https://wiki.example/slack"},
}


@dataclass(frozen=True)
class Webhooks:
    """A client of the entity as OpenMetadata's are: create, createOrUpdate, by id, by name, patch, delete, restore."""

    caller: Caller

    def create(self, entity: dict[str, Any]) -> Any:
        return self.caller.call("POST", "/api/v1/webhooks", entity, expect=201)

    def create_or_update(self, entity: dict[str, Any]) -> Any:
        return self.caller.call("PUT", "/api/v1/webhooks", entity)

    def by_name(self, name: str, include: str = "non-deleted", expect: int = 200) -> Any:
        path = f"/api/v1/webhooks/name/{quote(name)}?fields=owner,tags&include={include}"
        return self.caller.call("GET", path, expect=expect)

    def patch(self, entity_id: str, *operations: dict[str, Any], expect: int = 200) -> Any:
        reply = self.caller.send("PATCH", f"/api/v1/webhooks/{entity_id}", list(operations), JSON_PATCH)
        assert reply.status == expect, reply
        return reply.json()

    def delete(self, entity_id: str, *, hard: bool = False) -> Any:
        query = f"hardDelete={json.dumps(hard)}&recursive=false"
        return self.caller.call("DELETE", f"/api/v1/webhooks/{entity_id}?{query}")

    def restore(self, entity_id: str) -> Any:
        return self.caller.call("PUT", "/api/v1/webhooks/restore", {"id": entity_id})

    def versions(self, entity_id: str) -> list[Any]:
        history = self.caller.call("GET", f"/api/v1/webhooks/{entity_id}/versions")
        assert history["entityType"] == "webhook"
        return list(history["versions"])


def test_a_client_of_openmetadatas_leads_a_webhook_through_its_life(server: Server) -> None:
    caller = server.new_tenant("entity")
    webhooks = Webhooks(caller)
    team = caller.call("POST", "/api/v1/contacts", {"name": "Data team", "type": "team"}, expect=201)
    wanted = {**WANTED, "owner": {"id": team["id"], "type": "team"}}
    made = webhooks.create(wanted)
    assert made["fullyQualifiedName"] == f"{caller.tenant}.slack-tables"
    assert (made["version"], made["status"], made["deleted"]) == (0.1, "active", False)
    assert made["owner"]["name"] == "Data team"
    assert "a secret of the channel" not in json.dumps(made)
    assert webhooks.by_name(made["fullyQualifiedName"]) == made
    assert caller.call("GET", f"/api/v1/webhooks/{made['id']}") == made

    entity = webhooks.by_name("slack-tables")
    entity["description"] = "What changes"
    updated = webhooks.create_or_update(entity)
    assert (updated["version"], updated["webhookConfig"]) == (0.2, made["webhookConfig"])
    assert updated["changeDescription"] == {
        "fieldsAdded": [],
        "fieldsUpdated": [
            {"name": "description", "oldValue": "What **changes** in tables", "newValue": "What changes"}
        ],
        "fieldsDeleted": [],
        "previousVersion": 0.1,
    }
    renewed = webhooks.patch(
        made["id"],
        {"op": "test", "path": "/version", "value": 0.2},
        {"op": "replace", "path": "/webhookConfig/endpoint", "value": RECEIVER + "/2"},
        {"op": "add", "path": "/tags/1", "value": {"tagFQN": "PII.Sensitive"}},
        {"op": "remove", "path": "/domain"},
    )
    assert (renewed["version"], renewed["domain"], len(renewed["tags"])) == (1.0, None, 2)
    webhooks.patch(made["id"], {"op": "test", "path": "/version", "value": 0.2}, expect=409)
    off = webhooks.patch(made["id"], {"op": "replace", "path": "/enabled", "value": False})
    assert (off["version"], off["status"]) == (1.1, "disabled")

    _deleted_restored_and_gone(server, caller, made)


def _deleted_restored_and_gone(server: Server, caller: Caller, made: dict[str, Any]) -> None:
    webhooks, wanted = Webhooks(caller), {**WANTED, "owner": made["owner"]}
    gone = webhooks.delete(made["id"])
    assert (gone["deleted"], gone["version"]) == (True, 2.0)
    webhooks.by_name("slack-tables", expect=404)
    assert webhooks.by_name("slack-tables", "deleted")["id"] == made["id"]
    assert caller.send("POST", "/api/v1/webhooks", wanted).reason == "name_taken"
    back = webhooks.restore(made["id"])
    assert (back["deleted"], back["version"], back["status"]) == (False, 2.1, "disabled")
    assert [each["version"] for each in webhooks.versions(made["id"])] == [2.1, 2.0, 1.1, 1.0, 0.2, 0.1]
    first = caller.call("GET", f"/api/v1/webhooks/{made['id']}/versions/0.1")
    assert first["description"] == wanted["description"]

    webhooks.delete(made["id"], hard=True)
    webhooks.by_name("slack-tables", "all", expect=404)
    again = webhooks.create(wanted)
    assert (again["version"], again["id"] == made["id"]) == (0.1, False)
    told = caller.call("GET", "/api/v1/audit?limit=200")["items"]
    ops = [row["op"] for row in reversed(told) if row["entityId"] == made["id"]]
    assert ops == ["created", *["updated"] * 5, "deleted"]
    assert "a secret of the channel" not in json.dumps(told)
    for door in (server.api, server.ingest):
        assert caller.post_event(again["id"], b'{"event":"x"}', door=door).status in {405, 422}, "no platform"
    stranger = server.admin("default")
    assert stranger.send("GET", f"/api/v1/webhooks/{again['id']}").status == 404
    assert stranger.send("GET", f"/api/v1/webhooks/name/{again['fullyQualifiedName']}").status == 404
