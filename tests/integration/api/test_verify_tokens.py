"""`POST /sources/{id}/verify` of token sources: judged by the keys at hand, explained by what the token says."""

import base64
import json
import time
from typing import Any

from tests.contract.vendors.tokens import BODY, ENTRA, ISSUERS, Issuer
from tests.integration.api.world import Api

SHARED = next(one for one in ISSUERS if one.name == "jwt-hs256")
PINNED = next(one for one in ISSUERS if one.name == "jwt-es256")


async def judged(api: Api, name: str, token: str, at: float | None = None) -> Any:
    asked = {
        "headers": {"Authorization": f"Bearer {token}"},
        "bodyBase64": base64.b64encode(BODY).decode(),
        **({} if at is None else {"at": at}),
    }
    reply = await api.send("POST", f"/sources/{name}/verify", asked)
    assert reply.status == 200, reply
    assert not any(part in reply.body.decode() for part in token.split(".") if len(part) > 20)
    return reply.json


async def make(api: Api, issuer: Issuer, **auth: Any) -> str:
    said = {**issuer.auth(**auth)}
    if issuer.shared:
        key = issuer.key()
        assert isinstance(key, bytes)
        said["secrets"] = [key.decode()]
    await api.make("/sources", {"platform": issuer.platform, "name": "tokens", "auth": said})
    return "tokens"


async def test_a_token_of_a_shared_secret_is_valid_and_names_it(api: Api) -> None:
    name = await make(api, SHARED)
    said = await judged(api, name, SHARED.make(int(time.time())))
    assert (said["verdict"], said["reason"], said["scheme"]) == ("valid", None, "jwt")
    made = (await api.send("GET", f"/sources/{name}")).json
    assert said["secretId"] == made["secrets"][0]["id"]


async def test_an_issuer_without_its_slash_is_named_as_the_mistake_it_is(api: Api) -> None:
    name = await make(api, SHARED)
    said = await judged(api, name, SHARED.make(int(time.time()), iss=SHARED.issuer.rstrip("/")))
    assert (said["verdict"], said["reason"]) == ("invalid", "token_issuer")
    [cause] = said["causes"]
    assert cause["cause"] == "token"
    assert "slash at the end" in cause["detail"]


async def test_pinned_keys_judge_and_an_old_token_is_judged_by_the_time_given(api: Api) -> None:
    name = await make(api, PINNED, jwksUrl=None, keys=[PINNED.jwk()])
    then = int(time.time()) - 90_000
    token = PINNED.make(then)
    assert (await judged(api, name, token))["reason"] == "token_expired"
    said = await judged(api, name, token, at=then + 1)
    assert (said["verdict"], said["secretId"]) == ("valid", "kid-one")


async def test_keys_that_cannot_be_had_are_told_apart_from_a_wrong_token(api: Api) -> None:
    name = await make(api, ENTRA)
    right = await judged(api, name, ENTRA.make(int(time.time())))
    assert right["reason"] == "token_keys_away"
    assert "look at its key" in json.dumps(right["causes"])
    wrong = await judged(api, name, ENTRA.make(int(time.time()), appid="someone else"))
    assert wrong["reason"] == "token_claim"
    assert "appid" in json.dumps(wrong["causes"])
    assert "someone else" not in json.dumps(wrong)
