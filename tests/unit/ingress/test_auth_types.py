"""Every auth type that users say themselves, at the door: what proves a source, what does not, what is stored of it."""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from ingress.arrival import Reply
from schemas.definitions.base import read
from schemas.definitions.key import Permission
from schemas.definitions.source import SourceDefinition
from schemas.errors import Refused
from schemas.reasons import Reason
from tests.fakes.edge import Edge
from tests.fakes.registry import key, snapshot, source

NOW = 1_700_000_000
BODY = b'{"n": 1.0, "name": "caf\xc3\xa9"}'
OLD, NEW = b"the old secret", b"the new secret"
Headers = dict[str, str]


def edge(auth: Mapping[str, Any], secrets: tuple[bytes, ...] = (OLD, NEW)) -> Edge:
    one = source("shop", auth=auth, secrets=secrets)
    return Edge(snapshot([one], urls={"t0ken": (one.id, "url-1")}))


async def post(made: Edge, headers: Headers, query: str = "", body: bytes = BODY) -> Reply:
    return await made.post(f"/in/t0ken{query}", body, headers)


def kept(made: Edge) -> tuple[dict[str, Any], str]:
    [record] = made.publisher.records
    found = dict(record.headers)
    return json.loads(found["hb-auth"]), b"".join(found.values()).decode("latin-1")


def mac(message: bytes, secret: bytes = NEW, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret, message, algorithm).digest()


B64 = base64.b64encode
TIMED = {"message": "{timestamp}.{body}", "timestamp": {"source": "header", "name": "X-Time"}}
KV = {"container": {"kind": "kv", "key": "v1"}, "timestamp": {"source": "parameter", "name": "t"}}
STAMP = str(NOW).encode()
HMACS: dict[str, tuple[dict[str, Any], Headers]] = {
    "the least": ({}, {"X-Sig": mac(BODY).hex()}),
    "upper case hex": ({}, {"x-sig": mac(BODY).hex().upper()}),
    "prefix": ({"container": {"kind": "prefix", "prefix": "sha256="}}, {"X-Sig": "sha256=" + mac(BODY).hex()}),
    "sha1 base64": ({"algorithm": "sha1", "encoding": "base64"}, {"X-Sig": B64(mac(BODY, NEW, "sha1")).decode()}),
    "sha512": ({"algorithm": "sha512"}, {"X-Sig": mac(BODY, NEW, "sha512").hex()}),
    "list": (
        {"container": {"kind": "list", "prefix": "v1,", "separator": " "}, "encoding": "base64"},
        {"X-Sig": f"v1,{B64(b'0' * 32).decode()} v1,{B64(mac(BODY)).decode()}"},
    ),
    "signed time": (TIMED, {"X-Sig": mac(STAMP + b"." + BODY).hex(), "X-Time": str(NOW)}),
    "time in ms": (
        {**TIMED, "timestamp": {"source": "header", "name": "X-Time", "unit": "ms"}},
        {"X-Sig": mac(STAMP + b"000." + BODY).hex(), "X-Time": f"{NOW}000"},
    ),
    "key and value": (
        {**KV, "message": "{timestamp}.{body}"},
        {"X-Sig": f"t={NOW},v1={'0' * 64},v1={mac(STAMP + b'.' + BODY).hex()}"},
    ),
    "method and header": (
        {"message": "{method}:{h.X-Id}:{body}"},
        {"X-Sig": mac(b"POST:42:" + BODY).hex(), "X-Id": "42"},
    ),
    "url": ({"message": "{url}{body}"}, {"X-Sig": mac(b"https://hooks.example.com/in/t0ken" + BODY).hex()}),
}


def hmac_auth(**more: Any) -> dict[str, Any]:
    return {"type": "hmac", "header": "X-Sig", **more}


@pytest.mark.parametrize("name", HMACS)
async def test_hmac_in_every_shape(name: str) -> None:
    auth, headers = HMACS[name]
    made = edge(hmac_auth(**auth))
    assert (await post(made, headers)).status == 200
    assert kept(made)[0] == {"scheme": "hmac", "coverage": "full", "secretId": "sec-1"}
    for wrong in (BODY.replace(b"1.0", b"1"), BODY + b"\n", b""):
        assert (await post(made, headers, body=wrong)).reason is Reason.SIGNATURE_MISMATCH


@pytest.mark.parametrize("name", HMACS)
async def test_hmac_takes_neither_secret_too_many_nor_none(name: str) -> None:
    auth, headers = HMACS[name]
    assert (await post(edge(hmac_auth(**auth), (OLD,)), headers)).reason is Reason.SIGNATURE_MISMATCH
    assert (await post(edge(hmac_auth(**auth), ()), headers)).reason is Reason.NO_SECRET
    empty = {key: "" if key.lower() == "x-sig" else value for key, value in headers.items()}
    assert (await post(edge(hmac_auth(**auth)), empty)).status == 401
    assert (await post(edge(hmac_auth(**auth)), {})).reason in {Reason.SIGNATURE_MISSING, Reason.SIGNATURE_MALFORMED}


@pytest.mark.parametrize(
    ("encoding", "secret", "key"),
    [
        ("hex", b"00ff10", b"\x00\xff\x10"),
        ("base64", b"AP8Q", b"\x00\xff\x10"),
        ("whsec", b"whsec_AP8Q", b"\x00\xff\x10"),
        ("utf8", "schlüssel".encode(), "schlüssel".encode()),
    ],
)
async def test_a_secret_is_decoded_as_its_encoding_says(encoding: str, secret: bytes, key: bytes) -> None:
    made = edge(hmac_auth(keyEncoding=encoding), (secret,))
    assert (await post(made, {"X-Sig": mac(BODY, key).hex()})).status == 200
    if encoding in {"hex", "base64"}:
        made = edge(hmac_auth(keyEncoding=encoding), (b"not decodable!",))
        assert (await post(made, {"X-Sig": mac(BODY, b"not decodable!").hex()})).reason is Reason.NO_SECRET


@pytest.mark.parametrize(
    ("age", "tolerance", "reason"),
    [
        (300, None, None),
        (301, None, Reason.TIMESTAMP_STALE),
        (-301, None, Reason.TIMESTAMP_FUTURE),
        (10, 10, None),
        (-10, 10, None),
        (11, 10, Reason.TIMESTAMP_STALE),
        (-11, 10, Reason.TIMESTAMP_FUTURE),
    ],
)
async def test_a_signed_time_is_bounded_both_ways(age: int, tolerance: int | None, reason: Reason | None) -> None:
    stamp = str(NOW - age)
    headers = {"X-Time": stamp, "X-Sig": mac(stamp.encode() + b"." + BODY).hex()}
    auth = hmac_auth(**TIMED, **({} if tolerance is None else {"toleranceSeconds": tolerance}))
    assert (await post(edge(auth), headers)).reason is reason


@pytest.mark.parametrize(
    ("auth", "pointer", "words"),
    [
        ({"message": "{bdy}"}, "/auth", "'{bdy}' is no token"),
        ({"message": "{body}}"}, "/auth", "'}' is no token"),
        ({"message": "{timestamp}.{body}"}, "/auth", "say in timestamp where it stands"),
        ({"timestamp": {"source": "header", "name": "X-Time"}}, "/auth", "a time that is not signed proves nothing"),
        ({"timestamp": {"source": "parameter", "name": "t"}}, "/auth", "a container of kind kv"),
        ({"toleranceSeconds": 5}, "/auth", "needs a signed time"),
        ({"algorithm": "md5"}, "/auth/algorithm", "sha256"),
        ({"header": "X Sig"}, "/auth/header", "does not fit"),
        ({"container": {"kind": "kv", "key": ""}}, "/auth/container/key", "at least 1"),
        ({"tokens": ["a"]}, "/auth/tokens", "not known here"),
    ],
)
def test_an_hmac_that_could_not_be_judged_is_refused_with_a_pointer(
    auth: dict[str, Any], pointer: str, words: str
) -> None:
    with pytest.raises(Refused) as raised:
        read(SourceDefinition, {"platform": "shop", "auth": hmac_auth(**auth)})
    [(where, message)] = raised.value.errors
    assert where == pointer
    assert words in message


def basic(user: str, password: str) -> str:
    return "Basic " + B64(f"{user}:{password}".encode()).decode()


STATIC: dict[str, tuple[dict[str, Any], Headers, str]] = {
    "bearer": ({"type": "bearer"}, {"Authorization": "Bearer the new secret"}, ""),
    "bearer, any case": ({"type": "bearer"}, {"authorization": "bearer  the new secret"}, ""),
    "basic": ({"type": "basic", "username": "acmé"}, {"Authorization": basic("acmé", "the new secret")}, ""),
    "header": ({"type": "apiKey", "header": "X-Shop"}, {"x-shop": "the new secret"}, ""),
    "prefix": (
        {"type": "apiKey", "header": "Authorization", "prefix": "Token "},
        {"Authorization": "Token the new secret"},
        "",
    ),
    "query": ({"type": "apiKey", "query": "shop"}, {}, "?a=1&shop=the%20new+secret"),
}


@pytest.mark.parametrize("name", STATIC)
async def test_a_static_credential_names_its_secret_and_is_never_stored(name: str) -> None:
    auth, headers, query = STATIC[name]
    made = edge(auth)
    assert (await post(made, headers, query)).status == 200
    proof, stored = kept(made)
    assert (proof["coverage"], proof["secretId"]) == ("none", "sec-1")
    assert "new" not in stored
    assert B64("acmé:the new secret".encode()).decode() not in stored


@pytest.mark.parametrize("name", STATIC)
async def test_a_static_credential_is_compared_whole(name: str) -> None:
    auth, headers, query = STATIC[name]
    for secrets in ((OLD,), (NEW + b" ",), (NEW.upper(),), (b"the new",)):
        reply = await post(edge(auth, secrets), headers, query)
        assert reply.reason is Reason.SIGNATURE_MISMATCH
        assert b"new" not in reply.body
    assert (await post(edge(auth, (b"",)), headers, query)).reason is Reason.NO_SECRET
    assert (await post(edge(auth), {})).reason in {Reason.SIGNATURE_MISSING, Reason.SIGNATURE_MALFORMED}


@pytest.mark.parametrize(
    "authorization",
    [
        basic("acme", ""),
        basic("other", "the new secret"),
        "Basic",
        "Basic !",
        "Bearer the new secret",
        "Basic " + B64(b"the new secret").decode(),
    ],
)
async def test_basic_wants_both_halves(authorization: str) -> None:
    made = edge({"type": "basic", "username": "acme"})
    assert (await post(made, {"Authorization": authorization})).status == 401


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer ", "Bearerthe new secret", "Basic the new secret", "é" * 9]
)
async def test_bearer_wants_its_scheme_and_a_token(authorization: str) -> None:
    reply = await post(edge({"type": "bearer"}), {"Authorization": authorization})
    assert reply.reason in {Reason.SIGNATURE_MALFORMED, Reason.SIGNATURE_MISMATCH}


@pytest.mark.parametrize(
    "auth",
    [
        {"type": "apiKey"},
        {"type": "apiKey", "header": "X-A", "query": "a"},
        {"type": "apiKey", "query": "a", "prefix": "Token "},
        {"type": "basic"},
        {"type": "basic", "username": "a:b"},
        {"type": "bearer", "toleranceSeconds": 5},
    ],
)
def test_a_static_credential_that_stands_nowhere_is_refused(auth: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        read(SourceDefinition, {"platform": "shop", "auth": auth})


async def test_the_last_use_of_secrets_and_urls_is_counted_and_moves_while_rotating() -> None:
    made = edge({"type": "bearer"})
    await post(made, {"Authorization": "Bearer the old secret"})
    await made.tally.flush()
    first = dict(made.sink.rows["start-1", "src-acme-shop"]["secret_last_used"])
    made.clock.advance(60)
    await post(made, {"Authorization": "Bearer the new secret"})
    await post(made, {"Authorization": "Bearer a wrong secret"})
    await made.tally.flush()
    second = made.sink.rows["start-1", "src-acme-shop"]["secret_last_used"]
    assert first == {"sec-0": NOW * 1000, "url-1": NOW * 1000}
    assert second == {"sec-0": NOW * 1000, "sec-1": (NOW + 60) * 1000, "url-1": (NOW + 60) * 1000}


async def test_a_secret_url_is_the_credential_of_its_own_path_only() -> None:
    made = edge({"type": "url"}, ())
    assert (await post(made, {})).status == 200
    assert kept(made)[0] == {"scheme": "url", "coverage": "none", "secretId": "url-1"}
    tenant = {"X-Tenant-Id": "acme", "Authorization": "Bearer t0ken"}
    for path in ("/api/v1/webhooks/shop", "/api/v1/webhooks/shop?token=t0ken"):
        reply = await made.post(path, BODY, tenant)
        assert (reply.status, reply.reason) == (401, Reason.UNAUTHENTICATED)
    assert (await made.post("/in/t0ken/", BODY)).status == 404
    assert (await made.post("/in/T0KEN", BODY)).status == 404


async def test_an_api_key_proves_sources_of_auth_none_alone() -> None:
    held = {"hbk_a": key(), "hbk_other": key("other"), "hbk_reader": key(permissions=(Permission.SOURCES_READ,))}
    open_one, closed = source("shop", auth="none", secrets=()), source("bank", auth={"type": "bearer"}, secrets=(NEW,))
    made = Edge(snapshot([open_one, closed], keys=held))

    async def sent(platform: str, text: str) -> Reply:
        headers = {"X-Tenant-Id": "acme", "Authorization": f"Bearer {text}"}
        return await made.post(f"/api/v1/webhooks/{platform}", BODY, headers)

    assert (await sent("shop", "hbk_a")).status == 200
    assert kept(made)[0] == {"scheme": "key", "coverage": "none", "secretId": "key-k"}
    assert (await sent("shop", "hbk_reader")).reason is Reason.FORBIDDEN
    assert (await sent("shop", "hbk_other")).status in {403, 404}
    assert (await sent("shop", "hbk_unknown")).status == 401
    assert (await sent("bank", "hbk_a")).status == 401
    assert (await sent("bank", "the new secret")).status == 200
