"""Sources: topics made with them, secrets never shown, rotation, shared topics."""

import pytest

from schemas.errors import Refused, Transient
from schemas.reasons import Reason
from tests.integration.api.world import SOURCE, Api


async def test_making_a_source_makes_its_topics_and_opens_it(api: Api) -> None:
    made = await api.make("/sources", SOURCE)
    assert set(api.topics.made) == {f"default.{kind}.github" for kind in ("webhook", "event", "quarantine")}
    assert (made["open"], made["topic"], made["partitioning"]) == (True, "default.webhook.github", "event")
    assert made["ingestUrl"].startswith("https://hooks.example/in/")
    assert made["stats"] == {
        "eventsReceived": 0,
        "lastEventAt": None,
        "rejected": 0,
        "rejectedByReason": {},
        "handshakes": 0,
        "shed": 0,
        "degraded": False,
        "waiting": None,
    }
    view = api.env.view.current()
    assert view.sources[made["id"]].open
    assert view.topics["default.webhook.github"].group == "0"


async def test_the_ingest_url_is_shown_once_and_secrets_never(api: Api) -> None:
    made = await api.make("/sources", SOURCE)
    token = made["ingestUrl"].rpartition("/")[2]
    assert made["auth"] == {"type": "github"}
    await api.send("PATCH", "/sources/github-main", {"description": "x"})
    for path in ("/sources", f"/sources/{made['id']}", "/sources/github-main", "/audit?limit=200"):
        body = (await api.send("GET", path)).body.decode()
        assert token not in body
        assert "It's a Secret" not in body
        assert "ingestUrl" not in body


async def test_a_source_of_key_holders_has_a_plain_url(api: Api) -> None:
    made = await api.make("/sources", {"platform": "orders", "auth": {"type": "none"}})
    assert made["ingestUrl"] == "https://hooks.example/api/v1/webhooks/orders?source=orders"


async def test_a_source_whose_topics_fail_is_taken_back(api: Api) -> None:
    api.topics.failure = Refused(Reason.BROKER_REFUSED, "policy violation")
    reply = await api.send("POST", "/sources", SOURCE)
    assert (reply.status, reply.reason) == (502, "broker_refused")
    assert (await api.send("GET", "/sources")).json["items"] == []
    assert (await api.send("POST", "/sources", SOURCE)).status == 201


async def test_refuses_a_taken_name_and_a_colliding_topic(api: Api) -> None:
    await api.make("/sources", SOURCE)
    reply = await api.send("POST", "/sources", SOURCE)
    assert (reply.status, reply.reason) == (409, "name_taken")
    await api.make("/tenants", {"id": "a_webhook"})
    await api.make("/tenants", {"id": "a"})
    await api.make("/sources", {"platform": "webhook_b", "auth": {"type": "none"}}, tenant="a")
    taken = await api.send("POST", "/sources", {"platform": "b", "auth": {"type": "none"}}, tenant="a_webhook")
    assert (taken.status, taken.reason) == (409, "topic_name_taken")


async def test_pausing_a_shared_topic_is_refused(api: Api) -> None:
    await api.make("/sources", SOURCE)
    await api.make("/sources", SOURCE | {"name": "second"})
    reply = await api.send("PATCH", "/sources/second", {"paused": True})
    assert (reply.status, reply.reason) == (409, "topic_shared")
    assert (await api.send("DELETE", "/sources/github-main")).status == 204
    assert (await api.send("PATCH", "/sources/second", {"paused": True})).json["paused"] is True
    assert api.env.view.current().topics["default.webhook.github"].paused
    joined = await api.send("POST", "/sources", SOURCE | {"name": "third"})
    assert (joined.status, joined.reason) == (409, "topic_shared")


async def test_a_source_made_paused_pauses_its_topic(api: Api) -> None:
    made = await api.make("/sources", SOURCE | {"paused": True})
    assert api.env.view.current().topics["default.webhook.github"].paused
    api.lags.told["default.webhook.github", 1] = 7
    assert (await api.send("GET", f"/sources/{made['id']}")).json["stats"]["waiting"] == 7
    assert (await api.send("GET", "/sources")).json["items"][0]["stats"]["waiting"] is None
    api.lags.failure = Transient("Kafka is away")
    assert (await api.send("GET", f"/sources/{made['id']}")).json["stats"]["waiting"] is None


async def test_put_creates_then_replaces_and_keeps_secrets(api: Api) -> None:
    body = {"platform": "github", "auth": {"type": "github", "secrets": ["one"]}}
    made = await api.send("PUT", "/sources/main", body)
    assert (made.status, made.json["name"]) == (201, "main")
    replaced = await api.send(
        "PUT", "/sources/main", {"platform": "github", "auth": {"type": "github"}, "description": "d"}
    )
    assert (replaced.status, replaced.json["version"]) == (200, 2)
    assert [each["id"] for each in replaced.json["secrets"]] == [each["id"] for each in made.json["secrets"]]
    other = await api.send("PUT", "/sources/main", body | {"name": "else"})
    assert (other.status, other.pointers) == (422, ["/name"])
    again = await api.send("PUT", "/sources/main", body, headers={"If-None-Match": "*"})
    assert (again.status, again.reason) == (412, "precondition_failed")
    absent = await api.send("PUT", "/sources/other", body, headers={"If-Match": '"1"'})
    assert (absent.status, absent.reason) == (412, "precondition_failed")


@pytest.mark.parametrize("change", [{"platform": "stripe"}, {"partitioning": "source"}])
async def test_what_is_frozen_stays(api: Api, change: dict[str, str]) -> None:
    await api.make("/sources", SOURCE)
    reply = await api.send("PATCH", "/sources/github-main", change)
    assert (reply.status, reply.reason) == (409, "immutable")


async def test_patch_merges_and_null_takes_back_the_default(api: Api) -> None:
    await api.make("/sources", SOURCE | {"silenceAfterSeconds": 600, "retention": {"rawDays": 3}})
    reply = await api.send(
        "PATCH", "/sources/github-main", {"silenceAfterSeconds": None, "retention": {"eventDays": 4}, "enabled": False}
    )
    assert reply.status == 200
    assert reply.json["silenceAfterSeconds"] is None
    assert (reply.json["retention"]["rawDays"], reply.json["retention"]["eventDays"]) == (3, 4)
    assert reply.json["enabled"] is False
    renamed = await api.send("PATCH", "/sources/github-main", {"name": "renamed"})
    assert renamed.json["name"] == "renamed"
    assert (await api.send("GET", "/sources/renamed")).json["id"] == renamed.json["id"]


async def test_urls_rotate_with_two_alive(api: Api) -> None:
    made = await api.make("/sources", {"platform": "orders", "auth": {"type": "url"}})
    second = await api.send("POST", f"/sources/{made['id']}/urls", {})
    assert second.status == 201
    assert second.json["ingestUrl"] != made["ingestUrl"]
    third = await api.send("POST", f"/sources/{made['id']}/urls")
    assert (third.status, third.reason) == (409, "in_use")
    first = next(url["id"] for url in made["urls"])
    assert (await api.send("DELETE", f"/sources/{made['id']}/urls/{first}")).status == 204
    assert len(api.env.view.current().by_url) == 1
    gone = await api.send("DELETE", f"/sources/{made['id']}/urls/{first}")
    assert (gone.status, gone.reason) == (404, "not_found")


async def test_secrets_rotate_in_two_steps(api: Api) -> None:
    made = await api.make("/sources", SOURCE)
    old = made["secrets"][0]["id"]
    last = await api.send("DELETE", f"/sources/{made['id']}/secrets/{old}")
    assert (last.status, last.reason) == (409, "in_use")
    added = await api.send("POST", f"/sources/{made['id']}/secrets", {"secret": "the next one"})
    assert added.status == 201
    assert b"the next one" not in added.body
    api.env.registry.tallies.flush("p1", [{"source_id": made["id"], "secret_last_used": {added.json["id"]: 1_000}}])
    shown = {each["id"]: each["lastUsedAt"] for each in (await api.send("GET", "/sources/github-main")).json["secrets"]}
    assert shown == {old: None, added.json["id"]: "1970-01-01T00:00:01.000Z"}
    assert (await api.send("DELETE", f"/sources/{made['id']}/secrets/{old}")).status == 204
    values = [secret.value for secret in api.env.view.current().sources[made["id"]].secrets]
    assert values == [b"the next one"]


async def test_stats_come_from_the_tallies(api: Api) -> None:
    made = await api.make("/sources", SOURCE | {"flood": {"ratio": 0.5}})
    row = {"source_id": made["id"], "accepted": 3, "refused": {"signature_mismatch": 3}, "last_event_at_ms": 5_000}
    api.env.registry.tallies.flush("p1", [row])
    before = await api.send("GET", "/sources/github-main")
    stats = before.json["stats"]
    assert (stats["eventsReceived"], stats["rejected"], stats["degraded"]) == (3, 3, True)
    assert stats["lastEventAt"] == "1970-01-01T00:00:05.000Z"
    api.env.registry.tallies.flush("p1", [row | {"accepted": 30}])
    after = await api.send("GET", "/sources/github-main", headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status, after.json["stats"]["degraded"]) == (200, False)


async def test_lists_page_and_filter(api: Api) -> None:
    for number in range(5):
        await api.make("/sources", {"platform": "orders", "name": f"s{number}", "auth": {"type": "none"}})
    await api.make("/sources", SOURCE)
    names, cursor = [], ""
    while True:
        page = (await api.send("GET", f"/sources?platform=orders&limit=2{cursor}")).json
        names += [item["name"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert names == [f"s{number}" for number in range(5)]
