"""Sources by preset: every vendor that signs may be registered, one that does not is refused in words."""

import pytest

from schemas.vendors import VENDORS
from tests.integration.api.world import Api

PRESETS = sorted(name for name, vendor in VENDORS.items() if vendor.schemes)


async def test_every_preset_makes_a_source_partitioned_as_its_adapter_says(api: Api) -> None:
    for name in PRESETS:
        made = await api.make("/sources", {"platform": name, "auth": {"type": name, "secrets": ["one"]}})
        assert (made["auth"], made["partitioning"]) == ({"type": name}, VENDORS[name].partitioning)


async def test_a_tolerance_of_its_own_survives_other_changes(api: Api) -> None:
    auth = {"type": "paddle", "secrets": ["one"], "toleranceSeconds": 30}
    made = await api.make("/sources", {"platform": "paddle", "auth": auth})
    assert made["auth"] == {"type": "paddle", "toleranceSeconds": 30}
    changed = await api.send("PATCH", "/sources/paddle", {"description": "x"})
    assert changed.json["auth"] == {"type": "paddle", "toleranceSeconds": 30}
    back = await api.send("PATCH", "/sources/paddle", {"auth": {"toleranceSeconds": None}})
    assert back.json["auth"] == {"type": "paddle"}


@pytest.mark.parametrize("seconds", [0, -1, 3601, "5m"])
async def test_refuses_a_tolerance_out_of_bounds(api: Api, seconds: object) -> None:
    auth = {"type": "paddle", "secrets": ["one"], "toleranceSeconds": seconds}
    reply = await api.send("POST", "/sources", {"platform": "paddle", "auth": auth})
    assert (reply.status, reply.reason) == (422, "invalid_definition")


async def test_a_vendor_that_sends_a_jwt_is_refused_with_what_to_do_instead(api: Api) -> None:
    reply = await api.send("POST", "/sources", {"platform": "teams", "auth": {"type": "teams", "secrets": ["app-id"]}})
    assert (reply.status, reply.reason) == (422, "unsupported")
    assert "https://api.botframework.com" in reply.json["detail"]
    assert "use url" in reply.json["detail"]
    assert (await api.send("POST", "/sources", {"platform": "teams", "auth": {"type": "url"}})).status == 201
