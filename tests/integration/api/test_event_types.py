"""Lists of event types: kept as they were given, seen by the doors and the stage, bounded."""

from typing import Any

import pytest

from tests.integration.api.world import SOURCE, Api

LISTS = {"allow": ["push", "issues.*"], "deny": ["issues.labeled"], "repositories": ["acme/*"]}
NONE: dict[str, list[str]] = {"allow": [], "deny": [], "repositories": []}


async def test_lists_are_shown_and_reach_the_snapshot(api: Api) -> None:
    made = await api.make("/sources", SOURCE | {"eventTypes": LISTS})
    assert made["eventTypes"] == LISTS
    lists = api.env.view.current().sources[made["id"]].definition.event_types
    assert (lists.allow, lists.deny, lists.repositories) == (("push", "issues.*"), ("issues.labeled",), ("acme/*",))
    plain = await api.make("/sources", SOURCE | {"name": "plain"})
    assert plain["eventTypes"] == NONE


async def test_a_patch_of_one_list_leaves_the_others_and_the_secrets(api: Api) -> None:
    made = await api.make("/sources", SOURCE | {"eventTypes": LISTS})
    changed = (await api.send("PATCH", "/sources/github-main", {"eventTypes": {"deny": ["*"]}})).json
    assert changed["eventTypes"] == LISTS | {"deny": ["*"]}
    assert changed["secrets"] == made["secrets"]
    assert api.env.view.current().sources[made["id"]].definition.event_types.deny == ("*",)
    cleared = (await api.send("PATCH", "/sources/github-main", {"eventTypes": None})).json
    assert cleared["eventTypes"] == NONE


@pytest.mark.parametrize(
    ("lists", "pointer"),
    [
        ({"allow": [""]}, "/eventTypes/allow/0"),
        ({"deny": ["x" * 257]}, "/eventTypes/deny/0"),
        ({"repositories": ["a/*"] * 201}, "/eventTypes/repositories"),
        ({"allow": "push"}, "/eventTypes/allow"),
        ({"block": []}, "/eventTypes/block"),
    ],
)
async def test_refuses_lists_past_their_bounds(api: Api, lists: dict[str, Any], pointer: str) -> None:
    reply = await api.send("POST", "/sources", SOURCE | {"eventTypes": lists})
    assert (reply.status, reply.reason, reply.pointers) == (422, "invalid_definition", [pointer])
