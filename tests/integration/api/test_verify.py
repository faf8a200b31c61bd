"""`POST /sources/{id}/verify`: the verdict, the reason and the cause, over the API as a person uses it."""

import base64
import io
import json
import time
from typing import Any

import pytest

from schemas.definitions.key import Permission
from schemas.signing import SignedRequest, sign
from schemas.vendors import VENDORS
from tests.integration.api.world import SOURCE, Api

SECRET = b"It's a Secret"
BODY = b'{"action":"opened","n":1}'
URL = "https://hooks.example/in/t0ken"


def headers(body: bytes = BODY, *, platform: str = "github", secret: bytes = SECRET, url: str = URL,
            at: float = 0) -> dict[str, str]:  # fmt: skip
    scheme = VENDORS[platform].auth
    assert scheme is not None
    request = SignedRequest("POST", url, (("Content-Type", "application/json"),), body)
    return dict(sign(scheme, request, [secret], at or time.time()))


def request(body: bytes = BODY, said: Any = None, **more: Any) -> dict[str, Any]:
    return {"url": URL, "headers": said if said is not None else headers(), "bodyBase64": b64(body), **more}


def b64(body: bytes) -> str:
    return base64.b64encode(body).decode()


async def verdict(api: Api, body: Any, source: str = "github-main", **how: Any) -> Any:
    reply = await api.send("POST", f"/sources/{source}/verify", body, **how)
    assert reply.status == 200, reply
    assert reply.headers["Cache-Control"] == "no-store"
    return reply.json


@pytest.fixture
async def github(api: Api) -> Any:
    return await api.make("/sources", SOURCE)


async def test_the_right_request_is_valid(api: Api, github: Any) -> None:
    found = await verdict(api, request(), github["id"])
    assert (found["verdict"], found["accepted"], found["reason"], found["causes"]) == ("valid", True, None, [])
    assert found["secretId"] == github["secrets"][0]["id"]
    assert (found["scheme"], found["coverage"], found["bodyBytes"]) == ("github", "full", len(BODY))
    assert found["signed"] == {
        "template": "{body}",
        "standsIn": "the header X-Hub-Signature-256",
        "algorithm": "sha256",
        "preview": BODY.decode(),
        "bytes": len(BODY),
    }


@pytest.mark.parametrize(
    ("body", "said", "cause", "words"),
    [
        (BODY.replace(b",", b", ").replace(b":", b": "), None, "body_reencoded", "parsed and re-encoded it"),
        (BODY + b"\n", None, "body_line_ends", "a line feed was added"),
        (BODY, {}, "header_missing", "X-Hub-Signature-256"),
        (BODY, {"Hub_Signature_256": "{right}"}, "header_name", "stands in the header Hub_Signature_256"),
        (BODY, {"X-Hub-Signature-256": ["sha256=00", "{right}"]}, "header_duplicated", "only the first counts"),
        (BODY, [["X-Hub-Signature-256", "***"]], "header_hidden", "redacted"),
    ],
)  # fmt: skip
async def test_an_invalid_request_is_told_why(
    api: Api, github: Any, body: bytes, said: Any, cause: str, words: str
) -> None:
    right = headers()["X-Hub-Signature-256"]
    if isinstance(said, dict):
        fill = {"{right}": right}
        said = {k: [fill.get(v, v) for v in value] if isinstance(value, list) else fill.get(value, value)
                for k, value in said.items()}  # fmt: skip
    found = await verdict(api, request(body, said), github["id"])
    assert (found["verdict"], found["accepted"]) == ("invalid", False)
    assert found["reason"].startswith("signature_")
    assert found["causes"][0]["cause"] == cause
    assert words in found["causes"][0]["detail"]
    assert SECRET.decode() not in str(found)


async def test_freshness_is_judged_by_at(api: Api) -> None:
    await api.make("/sources", {"platform": "stripe", "auth": {"type": "stripe", "secrets": ["whsec_x"]}})
    said = headers(platform="stripe", secret=b"whsec_x", at=1_750_000_000)
    assert (await verdict(api, request(said=said, at=1_750_000_300), "stripe"))["verdict"] == "valid"
    late = await verdict(api, request(said=said, at=1_750_003_600), "stripe")
    assert (late["reason"], late["causes"][0]["cause"]) == ("timestamp_stale", "clock_time_zone")
    assert late["judgedAt"] == "2025-06-15T16:06:40.000Z"
    now = await verdict(api, request(said=said), "stripe")
    assert (now["reason"], now["causes"][0]["cause"]) == ("timestamp_stale", "clock_off")
    assert any("give `at`" in text for text in now["warnings"])


async def test_a_removed_secret_and_that_of_another_source_are_named(api: Api, github: Any) -> None:
    old = github["secrets"][0]["id"]
    assert (await api.send("POST", "/sources/github-main/secrets", {"secret": "the next"})).status == 201
    assert (await api.send("DELETE", f"/sources/github-main/secrets/{old}")).status == 204
    found = await verdict(api, request())
    assert (found["verdict"], found["causes"][0]["cause"]) == ("invalid", "secret_removed")
    assert "removed from this source at 20" in found["causes"][0]["detail"]
    staging = {"platform": "github", "name": "staging", "auth": {"type": "github", "secrets": ["of staging"]}}
    await api.make("/sources", staging)
    found = await verdict(api, request(said=headers(secret=b"of staging")))
    assert found["causes"][0]["cause"] == "secret_of_another_source"
    assert "source 'staging' (github)" in found["causes"][0]["detail"]


async def test_an_address_of_another_scheme_is_named(api: Api) -> None:
    await api.make("/sources", {"platform": "square", "auth": {"type": "square", "secrets": ["key"]}})
    said = headers(platform="square", secret=b"key")
    assert (await verdict(api, request(said=said), "square"))["verdict"] == "valid"
    found = await verdict(api, request(said=said) | {"url": URL.replace("https", "http")}, "square")
    assert found["causes"][0]["cause"] == "url_mismatch"
    assert "we have http, the sender signed https" in found["causes"][0]["detail"]
    assert "public_ingest_url" in found["causes"][0]["detail"]
    assert "t0ken" not in str(found)


async def test_a_disabled_source_is_valid_and_not_accepted(api: Api, github: Any) -> None:
    await api.send("PATCH", "/sources/github-main", {"enabled": False})
    found = await verdict(api, request(), github["id"])
    assert (found["verdict"], found["accepted"], found["reason"]) == ("valid", False, "not_found")
    assert "disabled" in found["detail"]


async def test_the_secret_url_is_looked_up(api: Api) -> None:
    made = await api.make("/sources", {"platform": "shop", "auth": {"type": "url"}})
    assert (await verdict(api, {"url": made["ingestUrl"]}, "shop"))["verdict"] == "valid"
    found = await verdict(api, {"url": made["ingestUrl"] + "x"}, "shop")
    assert (found["verdict"], found["causes"][0]["cause"]) == ("invalid", "credential")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"body": "x"}, "/body"),
        ({"bodyBase64": "?"}, "/bodyBase64"),
        ({"bodyBase64": "AAA"}, "/bodyBase64"),
        ({"at": -1}, "/at"),
        ({"at": 1e300}, "/at"),
        ({"method": "po st"}, "/method"),
        ({"url": "x" * 9000}, "/url"),
        ({"headers": {"X": ["y"] * 300}}, "/headers"),
        ({"secret": "x"}, "/secret"),
    ],
)
async def test_refuses_what_is_no_request(api: Api, github: Any, change: dict[str, Any], pointer: str) -> None:
    reply = await api.send("POST", f"/sources/{github['id']}/verify", request() | change)
    assert (reply.status, reply.reason, reply.pointers) == (422, "invalid_definition", [pointer])


async def test_a_body_past_the_bound_is_refused_and_one_at_it_is_judged(api: Api, github: Any) -> None:
    path, large = f"/sources/{github['id']}/verify", b"x" * (2 << 20)
    right = await api.send("POST", path, raw=io.BytesIO(json.dumps(request(large, headers(large))).encode()))
    assert right.json["verdict"] == "valid"
    reply = await api.send("POST", path, raw=io.BytesIO(json.dumps(request(large + b"x")).encode()))
    assert (reply.status, reply.reason) == (413, "body_too_large")
    text = {"headers": headers(b"text\n"), "body": "text\n"}
    assert (await verdict(api, text, github["id"]))["verdict"] == "valid"


async def test_who_may_change_a_source_may_verify_and_nobody_else(api: Api, github: Any) -> None:
    path = f"/sources/{github['id']}/verify"
    writer = await api.key_for("default", Permission.SOURCES_WRITE)
    other = await api.key_for("default", Permission.SOURCES_READ)
    assert (await api.send("POST", path, request(), key=writer)).status == 200
    assert (await api.send("POST", path, request(), key=other)).status == 403
    await api.make("/tenants", {"id": "acme"})
    foreign = await api.key_for("acme")
    assert (await api.send("POST", path, request(), key=foreign)).status == 404
    assert (await api.send("POST", "/sources/none/verify", request())).status == 404


async def test_nothing_is_counted_or_logged_as_a_change(api: Api, github: Any) -> None:
    before = api.env.registry.revision()
    await verdict(api, request(said={}), github["id"])
    assert api.env.registry.revision() == before
    shown = (await api.send("GET", f"/sources/{github['id']}")).json
    assert (shown["stats"]["rejected"], shown["secrets"][0]["lastUsedAt"]) == (0, None)
    assert (await api.send("GET", f"/sources/{github['id']}/refusals")).json["items"] == []
