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


JWT = {"type": "jwt", "issuer": "https://issuer.example.com", "audience": "api://hooks"}
FETCHED = {**JWT, "jwksUrl": "https://issuer.example.com/keys"}
SHARED = {**JWT, "algorithms": ["HS256"], "secrets": ["0123456789abcdef0123456789abcdef"]}


async def test_a_bot_of_teams_needs_its_audience_alone(api: Api) -> None:
    made = await api.make("/sources", {"platform": "teams", "auth": {"type": "teams", "audience": "app-id"}})
    assert (made["auth"], made["partitioning"]) == ({"type": "teams", "audience": ["app-id"]}, "event")
    assert made["secrets"] == []


async def test_any_issuers_tokens_make_a_source_and_changes_keep_what_they_do_not_name(api: Api) -> None:
    made = await api.make("/sources", {"platform": "shop", "auth": {**FETCHED, "requiredClaims": {"role": "hook"}}})
    shown = {**FETCHED, "audience": ["api://hooks"], "algorithms": ["RS256"], "leewaySeconds": 60}
    assert made["auth"] == {**shown, "requiredClaims": {"role": ["hook"]}}
    changed = await api.send("PATCH", "/sources/shop", {"auth": {"leewaySeconds": 5, "requiredClaims": {"role": None}}})
    assert changed.json["auth"] == {**shown, "leewaySeconds": 5}
    assert (await api.send("GET", "/sources/shop")).json["auth"] == {**shown, "leewaySeconds": 5}


@pytest.mark.parametrize(
    ("auth", "pointer", "words"),
    [
        (FETCHED | {"jwksUrl": "http://issuer.example.com/keys"}, "/auth/jwksUrl", "egress_allow_http"),
        (FETCHED | {"jwksUrl": "https://169.254.169.254/keys"}, "/auth/jwksUrl", "egress_networks"),
        (FETCHED | {"jwksUrl": "https://[::1]/keys"}, "/auth/jwksUrl", "egress_networks"),
        (FETCHED | {"jwksUrl": "https://127.1/keys"}, "/auth/jwksUrl", "usual form"),
        (JWT | {"algorithms": ["HS256"]}, "/auth/secrets", "at least one secret"),
        (SHARED | {"secrets": [{}]}, "/auth/secrets/0", "fromEnv"),
        ({"type": "teams"}, "/auth/audience", "missing"),
    ],
)
async def test_refuses_tokens_that_could_never_be_judged(api: Api, auth: object, pointer: str, words: str) -> None:
    reply = await api.send("POST", "/sources", {"platform": "shop", "auth": auth})
    assert (reply.status, reply.reason) == (422, "invalid_definition")
    assert pointer in reply.pointers
    assert words in reply.json["detail"]


async def test_shared_secrets_of_tokens_rotate_in_two_steps_and_may_not_be_weak(api: Api) -> None:
    made = await api.make("/sources", {"platform": "shop", "auth": SHARED})
    weak = await api.send("POST", "/sources/shop/secrets", {"secret": "short"})
    assert (weak.status, weak.pointers) == (422, ["/secret"])
    await api.make("/sources/shop/secrets", {"secret": "another secret of more than 32 bytes"})
    first = made["secrets"][0]["id"]
    assert (await api.send("DELETE", f"/sources/shop/secrets/{first}")).status == 204
    to_keys = await api.send(
        "PATCH", "/sources/shop", {"auth": {"algorithms": ["RS256"], "jwksUrl": FETCHED["jwksUrl"]}}
    )
    assert to_keys.status == 200
    assert (await api.send("POST", "/sources/shop/secrets", {"secret": "x" * 40})).status == 422
    back = await api.send("PATCH", "/sources/shop", {"auth": {"algorithms": ["HS256"], "jwksUrl": None}})
    assert (back.status, back.pointers) == (422, ["/auth/secrets"])
