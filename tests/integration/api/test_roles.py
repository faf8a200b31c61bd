"""`/roles`: assignments of a tenant, the topic of their target, and what an event of a source would meet."""

import pytest

from schemas.definitions.key import Permission
from schemas.errors import Transient
from tests.integration.api.world import SOURCE, Api

ROLE = {"role": "webhook.github.*", "target": "reviewer"}


async def test_the_first_assignment_makes_the_targets_topic_and_is_in_effect(api: Api) -> None:
    made = await api.make("/roles", ROLE)
    assert (made["name"], made["topic"], made["open"]) == ("github-reviewer", "default.run.reviewer", True)
    assert api.topics.made["default.run.reviewer"].kind == "run"
    stored = api.env.registry.topics.get("default.run.reviewer")
    assert (stored.kind, stored.platform, stored.span) == ("run", "reviewer", 4)
    assert [each.id for each in api.env.view.current().roles["default"]] == [made["id"]]
    shown = await api.send("GET", "/roles/github-reviewer")
    assert shown.json == made
    assert shown.headers["ETag"]
    stale = await api.send("PATCH", "/roles/github-reviewer", {"description": "x"}, headers={"If-Match": '"7.x"'})
    assert stale.reason == "precondition_failed"
    moved = await api.send("PATCH", "/roles/github-reviewer", {"target": "other"})
    assert (moved.status, moved.reason) == (409, "immutable")
    assert (await api.send("PATCH", "/roles/github-reviewer", {"description": "why"})).json["version"] == 2
    assert (await api.send("DELETE", "/roles/github-reviewer")).status == 204
    assert api.env.view.current().roles == {}
    assert "default.run.reviewer" in api.topics.made


async def test_without_its_topic_an_assignment_is_taken_back(api: Api) -> None:
    api.topics.failure = Transient("Kafka is away")
    assert (await api.send("POST", "/roles", ROLE)).status == 503
    assert (await api.send("GET", "/roles")).json["items"] == []
    await api.make("/roles", ROLE)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "github.push", "target": "a"}, "/role"),
        ({"role": "webhook.github", "target": "a"}, "/role"),
        ({"role": "webhook.github.pull_request.Opened", "target": "a"}, "/role"),
        ({"role": "webhook.github.[abc", "target": "a"}, "/role"),
        ({"role": "webhook.github.\n", "target": "a"}, "/role"),
        ({"role": "webhook.*" + "x" * 200, "target": "a"}, "/role"),
        ({"role": "", "target": "a"}, "/role"),
        ({"role": "webhook.*", "target": "a", "more": 1}, "/more"),
    ],
)
async def test_refuses_a_role_that_no_event_can_have(api: Api, body: dict[str, object], pointer: str) -> None:
    reply = await api.send("POST", "/roles", body)
    assert (reply.status, reply.pointers) == (422, [pointer])


@pytest.mark.parametrize("target", ["", "a.b", "A", "_a", "x" * 65])
async def test_refuses_a_target_that_ends_no_topics_name(api: Api, target: str) -> None:
    assert (await api.send("POST", "/roles", {**ROLE, "target": target})).reason == "invalid_name"


async def test_tenants_never_meet(api: Api) -> None:
    await api.make("/tenants", {"id": "acme"})
    made = await api.make("/roles", ROLE)
    reader = await api.key_for("acme", Permission.SOURCES_READ)
    writer = await api.key_for("acme", Permission.SOURCES_WRITE, Permission.SOURCES_READ)
    for name in (made["id"], made["name"]):
        for method in ("GET", "PATCH", "DELETE"):
            reply = await api.send(method, f"/roles/{name}", {} if method == "PATCH" else None, key=writer)
            assert reply.reason == "not_found"
    assert (await api.send("GET", "/roles", key=reader)).json["items"] == []
    assert (await api.send("POST", "/roles", ROLE, key=reader)).reason == "forbidden"
    own = await api.send("POST", "/roles", ROLE, key=writer)
    assert (own.status, own.json["topic"]) == (201, "acme.run.reviewer")


async def test_shows_what_an_event_of_a_source_would_meet(api: Api) -> None:
    await api.make("/sources", SOURCE)
    for role in ("webhook.github.*", "webhook.github.pull_request_opened", "webhook.shop.*", "*"):
        await api.make("/roles", {"role": role, "target": "t"})
    found = (await api.send("GET", "/sources/github-main/roles?eventType=pull_request.opened")).json
    assert (found["role"], found["sourceKind"]) == ("webhook.github.pull_request_opened", "webhook.github")
    assert [each["role"] for each in found["assignments"]] == [
        "webhook.github.*", "webhook.github.pull_request_opened", "*",
    ]  # fmt: skip
    labelled = (await api.send("GET", "/sources/github-main/roles?eventType=%C3%A4&label=shop")).json
    assert labelled["role"] == "webhook.shop.unnamed"
    assert [each["role"] for each in labelled["assignments"]] == ["webhook.shop.*", "*"]
    assert (await api.send("GET", "/sources/github-main/roles")).json["role"] == "webhook.github.received"
    assert (await api.send("GET", "/sources/never/roles")).reason == "not_found"


async def test_lists_are_paged_and_filtered(api: Api) -> None:
    for target in ("a", "b", "c"):
        await api.make("/roles", {**ROLE, "target": target})
    page = (await api.send("GET", "/roles?limit=2")).json
    rest = (await api.send("GET", f"/roles?cursor={page['nextCursor']}")).json
    assert [each["target"] for each in (*page["items"], *rest["items"])] == ["a", "b", "c"]
    assert [each["target"] for each in (await api.send("GET", "/roles?target=b")).json["items"]] == ["b"]
