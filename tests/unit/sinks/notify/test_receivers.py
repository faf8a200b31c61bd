"""Who receives an event besides a webhook's own endpoint."""

from typing import Any

import pytest

from schemas.definitions.notification import ContactView, Lane
from sinks.notify.match.receivers import Missing
from sinks.notify.match.tenant import Matcher, Routed
from tests.unit.sinks.notify.make import CREATED_MS, contact, event, webhook


def at(name: str) -> dict[str, str]:
    return {"endpoint": f"https://{name}.example/"}


def routed(
    config: dict[str, Any], contacts: list[ContactView], entity: dict[str, Any] | None = None, name: str = "acme.orders"
) -> Routed:
    return Matcher([webhook(config=config)], contacts).route(event(["x"], entity, name=name), CREATED_MS)


def lanes(*receivers: str) -> tuple[Lane, ...]:
    return tuple(Lane("w", receiver and f"id-{receiver}") for receiver in receivers)


ADMINS, OWNERS, FOLLOWERS = {"sendToAdmins": True}, {"sendToOwners": True}, {"sendToFollowers": True}


def test_admins_are_told_beside_the_own_endpoint() -> None:
    contacts = [contact("ann", admin=True, **at("ann")), contact("bob", **at("bob"))]
    assert routed({**ADMINS, **at("own")}, contacts) == Routed(lanes("", "ann"))


@pytest.mark.parametrize(
    "owner",
    [
        {"owner": {"type": "user", "name": "jane"}},
        {"owners": [{"id": "id-jane", "type": "user"}]},
        {"owner": {"fullyQualifiedName": "jane"}},
        {"owner": "jane"},
        {"owners": ["id-jane"]},
    ],
)
def test_owners_are_found_by_id_and_name(owner: dict[str, Any]) -> None:
    assert routed(OWNERS, [contact("jane", **at("jane"))], owner) == Routed(lanes("jane"))


def test_an_owner_of_another_type_is_somebody_else() -> None:
    found = routed(OWNERS, [contact("sales", **at("s"))], {"owner": {"type": "team", "name": "sales"}})
    assert found == Routed((), (Missing("owner", "sales", "no contact has this id or name"),))


def test_a_team_is_its_endpoint_or_its_members() -> None:
    owner = {"owner": {"type": "team", "name": "sales"}}
    members = [contact("ann", teams=["sales"], **at("ann")), contact("bob", teams=["sales"])]
    with_endpoint = contact("sales", type="team", **at("sales"))
    assert routed(OWNERS, [with_endpoint, *members], owner) == Routed(lanes("sales"))
    assert routed(OWNERS, [contact("sales", type="team"), *members], owner) == Routed(lanes("ann"))
    nobody = routed(OWNERS, [contact("sales", type="team"), members[1]], owner)
    assert nobody.lanes == ()
    assert nobody.missing == (Missing("owner", "sales", "neither the team nor a member of it has an endpoint"),)


@pytest.mark.parametrize(
    ("follows", "told"),
    [
        ("acme.orders", True),
        ("table:acme.orders", True),
        ("table:acme.ord*", True),
        ("acme.?rders", True),
        ("*", True),
        ("dashboard:acme.orders", False),
        ("*:acme.orders", True),
        ("Acme.orders", False),
        ("acme.order", False),
        ("*orders*x", False),
    ],
)
def test_followers_follow_names_and_globs(follows: str, *, told: bool) -> None:
    found = routed(FOLLOWERS, [contact("fay", follows=[follows], **at("fay"))])
    assert found == Routed(lanes("fay") if told else ())


def test_followers_that_the_entity_names_are_told_too() -> None:
    contacts = [contact("fay", follows=["*"], **at("fay")), contact("gus", **at("gus"))]
    entity = {"followers": [{"id": "id-gus", "type": "user"}, {"id": "id-fay", "type": "user"}]}
    assert routed(FOLLOWERS, contacts, entity) == Routed(lanes("fay", "gus"))


def test_an_endpoint_is_told_once_whatever_it_is_asked_as() -> None:
    contacts = [
        contact("ann", admin=True, follows=["*"], **at("same")),
        contact("bob", admin=True, **at("same")),
        contact("own", admin=True, **at("own")),
    ]
    everybody = {**ADMINS, **OWNERS, **FOLLOWERS, **at("own")}
    assert routed(everybody, contacts, {"owner": "ann"}) == Routed(lanes("", "ann"))


def test_who_cannot_be_told_is_named_and_nobody_fails() -> None:
    assert routed(ADMINS, []).missing == (Missing("admin", "", "the tenant has no contact with admin: true"),)
    found = routed({**OWNERS, **at("own")}, [contact("bob")], {"owners": ["bob", "eve"]})
    assert found.lanes == lanes("")
    assert found.missing == (
        Missing("owner", "bob", "the contact has no endpoint"),
        Missing("owner", "eve", "no contact has this id or name"),
    )
    assert routed(OWNERS, []) == Routed(())


@pytest.mark.parametrize("junk", [None, 7, {}, [], [None, 7, {}, [[]]], {"name": 3}, "", {"id": None}])
def test_whatever_stands_as_a_reference_nothing_raises(junk: Any) -> None:
    entity = {"owner": junk, "owners": junk, "followers": junk, "tags": junk, "domain": junk}
    filters = [{"eventType": "entityUpdated", "include": ["x"], "exclude": ["tag:a", "owner:b", "domain:c"]}]
    everybody = {**OWNERS, **FOLLOWERS, **at("own")}
    found = Matcher([webhook(filters=filters, config=everybody)]).route(event(["x"], entity), CREATED_MS)
    assert found == Routed(lanes(""))
