"""A source from outside: what its door refuses is shown with the reason, what its lists keep out is counted exactly."""

import base64
import json
import uuid
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.system import lake
from tests.system.client import Caller, Server, eventually, request
from tests.system.commands import audit
from tests.system.github import Delivery

pytestmark = pytest.mark.system

SECRET = "the secret of a source's edge"


def delivery(event: str, **body: Any) -> Delivery:
    return Delivery(event, json.dumps(body).encode(), str(uuid.uuid4()))


def source(caller: Caller, **more: Any) -> tuple[dict[str, Any], str]:
    """Make a GitHub source; return it and the path of its secret URL."""
    definition = {"platform": "github", "auth": {"type": "github", "secrets": [SECRET]}, **more}
    made = caller.call("POST", "/api/v1/sources", definition, expect=201)
    return made, urlsplit(made["ingestUrl"]).path


def test_refusals_of_both_doors_are_one_ring_and_verify_names_their_cause(server: Server) -> None:
    caller = server.new_tenant("refused")
    made, path = source(caller)
    sent = delivery("push", ref="refs/heads/main", before="0" * 40)
    spaced = json.dumps(json.loads(sent.body), indent=1).encode()
    for door in (server.ingest, server.api):
        assert request(door, "POST", path, spaced, sent.headers(SECRET)).status == 401
    ring = f"/api/v1/sources/{made['id']}/refusals"
    eventually("both refusals are shown", lambda: len(caller.call("GET", ring)["items"]) == 2, 20.0)
    reply = caller.send("GET", ring)
    for entry in reply.json()["items"]:
        assert (entry["reason"], entry["bodyBytes"]) == ("signature_mismatch", len(spaced))
        assert entry["url"] == f"/in/{made['urls'][0]['id']}"
        assert [one["cause"] for one in entry["causes"]] == ["body_reencoded"]
    for secret in (SECRET, path.removeprefix("/in/")):
        assert secret not in reply.body.decode()
    asked = {
        "url": path,
        "headers": sent.headers(SECRET),
        "bodyBase64": base64.b64encode(spaced).decode(),
    }
    told = caller.call("POST", f"/api/v1/sources/{made['id']}/verify", asked)
    assert (told["verdict"], told["causes"][0]["cause"]) == ("invalid", "body_reencoded")
    asked["bodyBase64"] = base64.b64encode(sent.body).decode()
    right = caller.call("POST", f"/api/v1/sources/{made['id']}/verify", asked)
    assert (right["verdict"], right["accepted"], right["causes"]) == ("valid", True, [])

    def counted() -> tuple[int, int]:
        stats = caller.call("GET", f"/api/v1/sources/{made['id']}")["stats"]
        return stats["rejected"], stats["eventsReceived"]

    eventually("both are counted", lambda: counted() == (2, 0), 20.0)  # each door writes its counts by itself


def test_denied_events_are_counted_in_the_ledger_and_the_audit_is_exact(server: Server) -> None:
    caller = server.new_tenant("denied")
    assert caller.tenant is not None
    lists = {"allow": ["push", "issues.*"], "deny": ["issues.labeled"], "repositories": ["acme/*"]}
    _, path = source(caller, eventTypes=lists)
    caller.new_stream("github-events", "github", "github_events")
    ours, theirs = {"full_name": "Acme/Shop"}, {"full_name": "evil/shop"}
    expected = Counter({"clean": 3, "dropped_denied": 4, "control": 1})
    for each in (
        delivery("push", repository=ours),
        delivery("issues", action="opened", repository=ours),
        delivery("push"),
        delivery("push", repository=theirs),
        delivery("issues", action="labeled", repository=ours),
        delivery("star", action="created", repository=ours),
        delivery("issues", action="opened", repository=theirs),
        delivery("ping", repository=theirs),
    ):
        assert request(server.ingest, "POST", path, each.body, each.headers(SECRET)).status == 200
    where = server.data_dir, caller.tenant

    def decided() -> Counter[str]:
        found: Counter[str] = Counter()
        for row in lake.rows(*where, "hookberg_ledger", "outcome", "n"):
            found[row["outcome"]] += row["n"]
        return found

    eventually("the ledger has every item", lambda: decided() == expected)
    eventually("the clean ones are rows", lambda: lake.count(*where, "github_events") == expected["clean"])
    types = sorted(row["event_type"] for row in lake.rows(*where, "github_events", "event_type"))
    assert types == ["issues.opened", "push", "push"]
    code, said = audit(server.data_dir, "--tenant", caller.tenant)
    assert code == 0, said
    assert "every sum holds" in said
