"""`/contacts` by HTTP."""

from urllib.parse import quote

from tests.integration.api.world import Api


async def test_contacts_are_made_read_changed_and_deleted(api: Api) -> None:
    name = "Zoë Ø"
    made = await api.make("/contacts", {"name": name, "follows": ["table:acme.*"], "endpoint": "https://chat.example/"})
    path = f"/contacts/{quote(name)}"
    assert (await api.send("GET", path)).json == made
    assert (made["type"], made["admin"], made["version"]) == ("user", False, 1)
    changed = await api.send("PATCH", path, {"admin": True, "endpoint": None})
    assert (changed.json["admin"], changed.json["endpoint"], changed.json["version"]) == (True, None, 2)
    stale = await api.send("PUT", path, {"admin": False}, headers={"If-Match": '"1"'})
    assert stale.reason == "precondition_failed"
    replaced = await api.send("PUT", path, {"type": "team"})
    assert (replaced.json["type"], replaced.json["admin"], replaced.json["id"]) == ("team", False, made["id"])
    assert (await api.send("PUT", "/contacts/ops", {})).status == 201
    assert (await api.send("PUT", "/contacts/new", {}, headers={"If-Match": '"1"'})).status == 412
    assert (await api.send("PUT", path, {"type": "team"}, headers={"If-None-Match": "*"})).status == 412
    assert [each["name"] for each in (await api.send("GET", "/contacts?q=Zo")).json["items"]] == [name]
    assert (await api.send("POST", "/contacts", {"name": "ops"})).reason == "name_taken"
    assert (await api.send("DELETE", path)).status == 204
    assert (await api.send("GET", path)).status == 404


async def test_a_bad_contact_is_refused_with_its_place(api: Api) -> None:
    for body, pointer in (
        ({"name": "a/b"}, "/name"), ({"name": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"}, "/name"),
        ({"name": "x", "type": "robot"}, "/type"), ({"name": "x", "colour": 1}, "/colour"),
        ({"name": "x", "endpoint": "https://10.0.0.1/"}, "/endpoint"),
        ({"name": "x", "endpoint": "mailto:x"}, "/endpoint"),
    ):  # fmt: skip
        reply = await api.send("POST", "/contacts", body)
        assert (reply.status, reply.pointers) == (422, [pointer]), reply
