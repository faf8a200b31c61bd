"""Every preset at the door: signed as the vendor signs is stored, anything else is refused as the vendor reads it."""

import json

import pytest

from deploy.demo.post import signed_headers
from schemas.vendors import VENDORS
from tests.fakes.edge import Edge
from tests.fakes.registry import snapshot, source

NOW = 1_700_000_000
URL = "https://hooks.example.com/in/t0ken"
SECRETS = {"standardwebhooks": "whsec_MDEyMzQ1Njc4OWFiY2RlZg", "svix": "whsec_MDEyMzQ1Njc4OWFiY2RlZg"}
OTHERS = {"standardwebhooks": "whsec_ZmVkY2JhOTg3NjU0MzIxMA", "svix": "whsec_ZmVkY2JhOTg3NjU0MzIxMA"}
IN_BODY_OR_BY_KEY_PAIR = {"adyen", "msgraph", "sendgrid", "discord"}
"""What a test cannot sign in a header; their vectors are in tests/contract/vendors."""
SIGNS = sorted(name for name, vendor in VENDORS.items() if vendor.schemes and name not in IN_BODY_OR_BY_KEY_PAIR)


def secret_of(name: str, *, other: bool = False) -> str:
    if name in SECRETS:
        return (OTHERS if other else SECRETS)[name]
    text = "ccdd11" if other else "aabb00"
    return text + "==" if name == "teams-outgoing" else text


def body_of(name: str) -> bytes:
    return b"" if name == "twilio" else b'{"webhookTimestamp":%d,"type":"made"}' % (NOW * 1000)


def edge(name: str, secret: str) -> Edge:
    one = source(name, secrets=(b"verify_token:t", secret.encode()))
    return Edge(snapshot([one], urls={"t0ken": (one.id, "url-1")}))


def headers_of(name: str, secret: str) -> dict[str, str]:
    return signed_headers(name, secret, body_of(name), event="made", delivery="d-1", now_s=NOW, url=URL)


@pytest.mark.parametrize("name", SIGNS)
async def test_what_the_vendor_signed_is_stored_byte_for_byte(name: str) -> None:
    made = edge(name, secret_of(name))
    reply = await made.post("/in/t0ken", body_of(name), headers_of(name, secret_of(name)))
    assert (reply.status, reply.outcome) == (VENDORS[name].success.status, "accepted")
    [record] = made.publisher.records
    assert record.value == body_of(name)
    proof = json.loads(dict(record.headers)["hb-auth"])
    assert proof["secretId"] == "sec-1"
    assert secret_of(name) not in b"".join(value for _, value in record.headers).decode("latin-1")


@pytest.mark.parametrize("name", SIGNS)
async def test_anything_else_is_refused_with_the_vendors_status_and_stored_nowhere(name: str) -> None:
    made, signed = edge(name, secret_of(name)), headers_of(name, secret_of(name))
    forged = headers_of(name, secret_of(name, other=True))
    bare = {key: value for key, value in signed.items() if key in {"Content-Type", "User-Agent"}}
    for headers in (forged, bare, {key: value + "é" for key, value in signed.items()}):
        reply = await made.post("/in/t0ken", body_of(name), headers)
        assert (reply.status, reply.outcome) == (VENDORS[name].refusal_status, "refused")
    assert made.publisher.records == []


@pytest.mark.parametrize("name", SIGNS)
async def test_without_a_secret_that_can_be_used_nothing_verifies(name: str) -> None:
    for secrets in ((), (b"",), (b"verify_token:" + secret_of(name).encode(),)):
        one = source(name, secrets=secrets)
        made = Edge(snapshot([one], urls={"t0ken": (one.id, "url-1")}))
        reply = await made.post("/in/t0ken", body_of(name), headers_of(name, secret_of(name)))
        assert reply.status == VENDORS[name].refusal_status
        assert made.publisher.records == []
