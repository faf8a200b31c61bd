"""`hookberg doctor` on a server that runs: nothing is broken, what is made so is found, and nothing is left behind."""

import json
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.system.client import Server
from tests.system.commands import hookberg


def doctor(server: Server) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    code, said = hookberg("doctor", "--json", "--data-dir", str(server.data_dir))
    found: dict[str, list[dict[str, Any]]] = {}
    for one in json.loads(said)["findings"]:
        found.setdefault(one["check"], []).append(one)
    return code, found


def test_a_running_server_is_well_and_a_topic_that_is_not_is_found(server: Server) -> None:
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    tenant = server.new_tenant("doctor")
    tenant.call("POST", "/api/v1/sources", {"platform": "shop", "auth": {"type": "none"}}, expect=201)
    topic = f"{tenant.tenant}.webhook.shop"

    def set_to(value: str) -> None:
        entry = ConfigEntry("retention.ms", value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(10)

    set_to("3600000")
    code, found = doctor(server)
    broken = [one for many in found.values() for one in many if one["status"] == "fail"]
    assert broken == []
    assert code == 1
    assert any(topic in one["detail"] and "retention.ms" in one["mend"] for one in found["topics"])
    assert "4.1" in found["kafka version"][0]["detail"]
    for name in ("broker", "kafka write", "clock", "registry", "vault key", "catalog", "warehouse", "api", "ingress"):
        assert [one["status"] for one in found[name]] == ["ok"], name
    set_to(str(14 * 86_400_000))
    left = [name for name in admin.list_topics(timeout=10).topics if name.startswith("_hookberg.doctor")]
    assert left == []
    assert list((server.data_dir / "warehouse").glob(".hookberg-doctor*")) == []
