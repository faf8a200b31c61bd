"""`hookberg schema import`: GitHub's published bundles become subjects and versions, once however often it is run."""

import subprocess
import sys
from typing import Any

import pytest

from tests import fixtures
from tests.system.client import Caller, Server

pytestmark = pytest.mark.system
ONLY = "github.p[iu]*"


def schemas_file() -> str:
    return str(fixtures.member(fixtures.SCHEMAS, "schema.json"))


def run(caller: Caller, *words: str, expect: int = 0) -> str:
    command = [sys.executable, "-m", "deploy.cli", "schema", *words]
    if "--list" not in words:
        assert caller.tenant is not None
        command += ["--url", caller.server.api, "--key", caller.server.admin_key, "--tenant", caller.tenant]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={"COLUMNS": "200"})
    assert done.returncode == expect, done.stderr + done.stdout
    return done.stdout


def test_importing_makes_subjects_and_pins_and_a_second_time_nothing(server: Server) -> None:
    caller = server.new_tenant("import")
    source: dict[str, Any] = {
        "platform": "github", "name": "hub", "auth": {"type": "github", "secrets": ["s3cret"]},
        "pins": {"own": "own@1"},
    }  # fmt: skip
    caller.call("POST", "/api/v1/schemas", {"subject": "own"}, expect=201)
    caller.call("POST", "/api/v1/schemas/own/versions", {"schema": {}}, expect=201)
    caller.call("POST", "/api/v1/sources", source, expect=201)

    listed = run(caller, "import", "github", schemas_file(), "--only", ONLY, "--list")
    assert "nothing was sent" in listed
    assert "github.push" in listed
    first = run(caller, "import", "github", schemas_file(), "--only", ONLY, "--pin", "hub")
    made = caller.call("GET", "/api/v1/schemas?limit=200")["items"]
    subjects = {item["subject"]: item["latestVersion"] for item in made if item["subject"] != "own"}
    assert f"{len(subjects)} added, 0 unchanged, 0 refused" in first
    assert set(subjects.values()) == {1}
    pins = caller.call("GET", "/api/v1/sources/hub")["pins"]
    assert (pins["push"], pins["push.*"], pins["own"]) == ("github.push@1", "github.push@1", "own@1")

    again = run(caller, "import", "github", schemas_file(), "--only", ONLY, "--pin", "hub")
    assert f"0 added, {len(subjects)} unchanged, 0 refused" in again
    assert caller.call("GET", "/api/v1/sources/hub")["pins"] == pins


def test_a_newer_bundle_is_the_next_version_unless_the_subject_forbids_it(server: Server) -> None:
    caller = server.new_tenant("newer")
    run(caller, "import", "github", schemas_file(), "--only", "github.push")
    openapi = str(fixtures.member(fixtures.OPENAPI, "generated/api.github.com.json"))
    reply = caller.server.admin(caller.tenant).send(
        "PATCH", "/api/v1/schemas/github.push", {"compatibility": "full"},
        {"Content-Type": "application/merge-patch+json"},
    )  # fmt: skip
    assert reply.status == 200, reply
    refused = run(caller, "import", "openapi", openapi, "--only", "github.push", expect=1)
    assert "0 added, 0 unchanged, 1 refused" in refused
    assert "incompatible_schema" in refused
    caller.send("PATCH", "/api/v1/schemas/github.push", {"compatibility": "none"},
                {"Content-Type": "application/merge-patch+json"})  # fmt: skip
    assert "1 added" in run(caller, "import", "openapi", openapi, "--only", "github.push")
    assert caller.call("GET", "/api/v1/schemas/github.push")["latestVersion"] == 2


def test_a_dry_run_from_the_terminal_and_a_file_that_is_none(server: Server) -> None:
    caller = server.new_tenant("terminal")
    caller.call("POST", "/api/v1/schemas", {"subject": "own"}, expect=201)
    caller.call("POST", "/api/v1/schemas/own/versions", {"schema": {}}, expect=201)
    assert "own@1: 0 of 0 events judged" in run(caller, "dry-run", "own", "--version", "1")
    run(caller, "import", "openapi", schemas_file(), "--list", expect=1)
