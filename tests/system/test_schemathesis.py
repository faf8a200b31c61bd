"""The OpenAPI document holds against generated requests: a real API process, every operation, both planes and health.

Valid and invalid requests alike: no 5xx, no status, content type or body that the document does not name.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.client import Caller, Server

pytestmark = pytest.mark.system

BUDGET_S = 45
"""Generation stops after it; what runs then is finished."""
END_S = 170
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = 5
SOURCE = {"platform": "github", "auth": {"type": "github", "secrets": ["It's a Secret"]}}
CONFIG = """
[parameters]
"header.X-Tenant-Id" = "{tenant}"
"path.workspace_id" = "{tenant}"
"path.subject" = "order"
"path.version" = "1"
"path.namespace" = "{tenant}"

[[operations]]
include-path-regex = "^/api/v1/sources/"
exclude-method = "DELETE"
parameters = {{ "path.id" = "github" }}

[[operations]]
include-path-regex = "^/api/v1/streams/"
exclude-method = "DELETE"
parameters = {{ "path.id" = "slack-events" }}

[[operations]]
include-path-regex = "^/api/v1/deliveries/"
parameters = {{ "path.id" = "{delivery}" }}

[[operations]]
include-path-regex = "^/api/v1/webhooks/.platform"
parameters = {{ "path.platform" = "github" }}

[[operations]]
include-path-regex = "^/api/v1/webhooks/.uuid"
exclude-method = "DELETE"
parameters = {{ "path.uuid" = "{webhook}" }}

[[operations]]
include-path-regex = "^/api/v1/contacts/"
exclude-method = "DELETE"
parameters = {{ "path.id" = "ops" }}

[[operations]]
include-path-regex = "^/api/v1/platforms/"
parameters = {{ "path.name" = "github" }}
"""
"""Names that exist, so that not everything generated is 404 or another tenant's; the rest stays generated."""
WEBHOOK = {
    "name": "hook",
    "eventFilters": [{"eventType": "entityDeleted", "entities": ["nothing"]}],
    "webhookConfig": {"endpoint": "https://receiver.example/in"},
}
STREAM = {"name": "slack-events", "topics": ["{tenantId}.webhook.slack"], "targetTable": "slack_events"}


def _own_key(admin: Caller) -> str:
    """Make a key that may do everything in its tenant: what it breaks is nobody else's."""
    permissions = "ingestion:write streams:read streams:write sources:read sources:write schemas:read schemas:write"
    permissions += " webhooks:read webhooks:write events:read events:write tables:read keys:admin"
    wanted = {"tenantId": admin.tenant, "permissions": permissions.split(), "name": "fuzz"}
    return str(admin.call("POST", "/api/v1/keys", wanted, expect=201)["key"])


def test_generated_requests_get_documented_answers(server: Server, tmp_path: Path) -> None:
    admin = server.new_tenant("fuzz")
    admin.call("POST", "/api/v1/sources", SOURCE, expect=201)
    admin.call("POST", "/api/v1/streams", STREAM, expect=201)
    admin.call("POST", "/api/v1/schemas", {"subject": "order"}, expect=201)
    admin.call("POST", "/api/v1/schemas/order/versions", {"schema": {"type": "object"}}, expect=201)
    admin.call("POST", "/api/v1/sources", {"platform": "orders", "auth": {"type": "none"}}, expect=201)
    delivery = admin.post_event("orders", b'[{"event":"order"},1]').json()["deliveryId"]
    webhook = admin.call("POST", "/api/v1/webhooks", WEBHOOK, expect=201)["id"]
    admin.call("POST", "/api/v1/contacts", {"name": "ops"}, expect=201)
    (tmp_path / "schemathesis.toml").write_text(
        CONFIG.format(tenant=admin.tenant, delivery=delivery, webhook=webhook), "utf-8"
    )
    report = tmp_path / "report.txt"
    command = (
        sys.executable, "-m", "schemathesis.cli", "run", f"{server.api}/api/v1/openapi.json",
        "--url", server.api,
        "--header", f"Authorization: Bearer {_own_key(admin)}",
        "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(EXAMPLES),
        "--max-time", str(BUDGET_S),
        "--workers", "1",  # of two threads CPython 3.11 may fail in ast.parse (python/cpython issue 106905)
        "--seed", "1",
        "--checks", CHECKS,
        "--continue-on-failure",
        "--suppress-health-check", "all",
        "--generation-database", "none",
        "--request-timeout", "30",
        "--no-color",
    )  # fmt: skip
    with report.open("wb") as file:
        done = subprocess.run(command, cwd=tmp_path, stdout=file, stderr=file, timeout=END_S, check=False)
    said = report.read_text("utf-8", "replace")
    assert done.returncode == 0, said[-12_000:]
    tested = re.search(r"(\d+) generated", said)
    assert tested is not None, said[-3000:]
    assert int(tested[1]) > 200, said[-3000:]
