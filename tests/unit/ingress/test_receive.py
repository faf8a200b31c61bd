"""One webhook's life over fakes: who gets in, what is stored, what is answered."""

import asyncio
import gzip
import json

import pytest

from ingress import receipt
from ingress.arrival import Reply
from ingress.receive import receive
from schemas import topics
from schemas.errors import Overloaded
from schemas.reasons import Reason
from schemas.signing import SignedRequest, sign
from schemas.vendors import VENDORS
from schemas.wire.raw import AuthResult, Overrides
from tests.fakes.edge import RECEIPT_KEY, Edge, MemoryBody, arrival
from tests.fakes.registry import key, snapshot, source

GITHUB = source("github")
BODY = b'{"action":"opened"}'
TENANT = {"X-Tenant-Id": "acme"}


def signed(vendor: str, body: bytes, now_s: float = 1_700_000_000, secret: bytes = b"s3cret") -> dict[str, str]:
    scheme = VENDORS[vendor].auth
    assert scheme is not None
    return TENANT | dict(sign(scheme, SignedRequest("POST", "", (), body), [secret], now_s))


def said(reply: Reply) -> dict[str, object]:
    found: dict[str, object] = json.loads(reply.body)
    return found


async def test_stores_a_signed_delivery_and_answers_with_its_receipt() -> None:
    edge = Edge(snapshot([GITHUB]))
    headers = signed("github", BODY) | {"X-GitHub-Delivery": "g-1", "X-GitHub-Event": "issues"}
    reply = await edge.post("/api/v1/webhooks/github?a=1", BODY, headers)
    assert (reply.status, reply.outcome) == (200, "accepted")
    [kept] = edge.publisher.records
    assert kept.value == BODY
    assert kept.topic == "acme.webhook.github"
    assert kept.key == b"src-acme-github:g-1"
    assert kept.partition == topics.partition(kept.key, 4)
    meta = kept.meta
    assert meta.event_id == "g-1"
    assert meta.auth == AuthResult("github", "full", "sec-0")
    assert (meta.path, meta.query, meta.method) == ("/api/v1/webhooks/github", "a=1", "POST")
    assert meta.received_at_us == 1_700_000_000_000_000
    assert said(reply)["accepted"] is True
    assert said(reply)["deliveryId"] == meta.delivery_id
    path, _, rest = str(said(reply)["receipt"]).partition("?at=")
    at, _, mac = rest.partition("&mac=")
    assert path == f"/api/v1/deliveries/{meta.delivery_id}"
    assert receipt.check(RECEIPT_KEY, meta.delivery_id, at, mac) == ("topicid-github", kept.partition, 0)


async def test_a_delivery_without_a_vendor_id_is_keyed_by_its_own() -> None:
    edge = Edge(snapshot([GITHUB]))
    await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))
    [kept] = edge.publisher.records
    assert kept.meta.event_id is None
    assert kept.key == kept.meta.delivery_id.encode()


async def test_a_source_in_order_is_keyed_by_itself() -> None:
    edge = Edge(snapshot([source("shop", auth="none")], keys={"hbk_a": key()}))
    await edge.post("/api/v1/webhooks/shop", b"[1]", TENANT | {"Authorization": "Bearer hbk_a"})
    assert edge.publisher.records[0].key == b"src-acme-shop"


@pytest.mark.parametrize("vendor", ["github", "stripe", "slack"])
async def test_refuses_a_tampered_body_and_stores_nothing(vendor: str) -> None:
    edge = Edge(snapshot([source(vendor)]))
    reply = await edge.post(f"/api/v1/webhooks/{vendor}", BODY + b" ", signed(vendor, BODY))
    assert (reply.status, reply.reason) == (401, Reason.SIGNATURE_MISMATCH)
    assert edge.publisher.records == []


@pytest.mark.parametrize(("age", "reason"), [(301, Reason.TIMESTAMP_STALE), (-301, Reason.TIMESTAMP_FUTURE)])
async def test_refuses_a_timestamp_too_far_off(age: int, reason: Reason) -> None:
    edge = Edge(snapshot([source("stripe")]))
    edge.clock.advance(age)
    reply = await edge.post("/api/v1/webhooks/stripe", BODY, signed("stripe", BODY))
    assert reply.reason is reason


async def test_a_stripe_event_is_keyed_by_the_id_in_its_body() -> None:
    edge = Edge(snapshot([source("stripe")]))
    body = b'{"object":"event","id":"evt_1"}'
    await edge.post("/api/v1/webhooks/stripe", body, signed("stripe", body))
    assert edge.publisher.records[0].meta.event_id == "evt_1"


async def test_answers_a_signed_challenge_and_stores_nothing() -> None:
    edge = Edge(snapshot([source("slack")]))
    body = b'{"type":"url_verification","challenge":"3eZb","token":"t"}'
    reply = await edge.post("/api/v1/webhooks/slack", body, signed("slack", body))
    assert (reply.status, reply.body, reply.content_type) == (200, b"3eZb", "text/plain; charset=utf-8")
    assert edge.publisher.records == []
    unsigned = await edge.post("/api/v1/webhooks/slack", body, TENANT)
    assert unsigned.status == 401
    assert b"3eZb" not in unsigned.body
    await edge.tally.flush()
    row = edge.sink.rows["start-1", "src-acme-slack"]
    assert (row["handshakes"], row["accepted"], row["refused"]) == (1, 0, {"signature_missing": 1})


async def test_an_unknown_platform_registers_itself_and_its_challenge_is_answered() -> None:
    edge = Edge(snapshot(keys={"hbk_admin": key(None)}), default_tenant="acme")
    body = b'{"type":"url_verification","challenge":"3eZb"}'
    reply = await edge.post("/api/v1/webhooks/slack", body, {"Authorization": "Bearer hbk_admin"})
    assert (reply.status, reply.body) == (200, b"3eZb")
    assert [(made.tenant, made.platform) for made in edge.registrar.made] == [("acme", "slack")]


async def test_a_tenants_key_names_its_tenant() -> None:
    edge = Edge(snapshot(keys={"hbk_o": key("other")}), default_tenant="acme")
    assert (await edge.post("/api/v1/webhooks/shop", b"{}", {"Authorization": "bearer hbk_o"})).status == 200
    assert edge.registrar.made[0].tenant == "other"


async def test_a_workspace_takes_objects_only_and_answers_202() -> None:
    edge = Edge(snapshot(keys={"hbk_a": key()}))
    headers = {"Authorization": "Bearer hbk_a"}
    url = "/api/v1/webhooks/generic/acme?source=crm&event_type=lead&source_identifier=s&dedupe_key=d"
    reply = await edge.post(url, b' {"a":1}', headers)
    assert (reply.status, said(reply)["accepted"]) == (202, True)
    [kept] = edge.publisher.records
    assert kept.topic == "acme.webhook.generic"
    assert kept.meta.overrides == Overrides("crm", "lead", "s", "d")
    for bad in (b"[]", b"1", b"", b"{", b'{"a":nope}', b'"x"', b"\xff", b"{}{}", b'{"a":' * 50_000):
        reply = await edge.post(url, bad, headers)
        assert (reply.status, reply.reason) == (400, Reason.BODY_NOT_OBJECT)
    assert len(edge.publisher.records) == 1


async def test_a_workspace_checks_a_compressed_body_and_stores_it_as_sent() -> None:
    edge = Edge(snapshot(keys={"hbk_a": key()}))
    headers = {"Authorization": "Bearer hbk_a", "Content-Encoding": "gzip"}
    body = gzip.compress(b'{"a":1}', mtime=0)
    assert (await edge.post("/api/v1/webhooks/generic/acme", body, headers)).status == 202
    assert edge.publisher.records[0].value == body
    assert (await edge.post("/api/v1/webhooks/generic/acme", body[:-9], headers)).status == 400


async def test_a_secret_url_is_its_own_credential_and_is_not_stored() -> None:
    edge = Edge(snapshot([source("shop", auth="url")], urls={"tok3n": ("src-acme-shop", "url-1")}))
    assert (await edge.post("/in/tok3n", b"x=1")).status == 200
    meta = edge.publisher.records[0].meta
    assert meta.auth == AuthResult("url", "none", "url-1")
    assert meta.path == "/in/url-1"
    assert (await edge.post("/api/v1/webhooks/shop", b"x", TENANT)).status == 401


async def test_a_preset_source_wants_its_signature_on_its_url_too() -> None:
    edge = Edge(snapshot([GITHUB], urls={"tok3n": (GITHUB.id, "url-1")}))
    assert (await edge.post("/in/tok3n", BODY)).reason is Reason.SIGNATURE_MISSING
    assert (await edge.post("/in/tok3n", BODY, signed("github", BODY))).status == 200


async def test_everything_unknown_gets_the_same_404() -> None:
    sources = [
        source("off", auth="none", enabled=False),
        source("closed", auth="none", is_open=False),
        source("shop", auth="none"),
        source("gone", tenant="retired"),
    ]
    edge = Edge(snapshot(sources, keys={"hbk_a": key(), "hbk_o": key("other"), "hbk_r": key(permissions=())}))
    acme, other = TENANT | {"Authorization": "Bearer hbk_a"}, TENANT | {"Authorization": "Bearer hbk_o"}
    asked = [
        ("/api/v1/webhooks/new", TENANT),
        ("/api/v1/webhooks/new", TENANT | {"Authorization": "Bearer hbk_unknown"}),
        ("/api/v1/webhooks/new", TENANT | {"Authorization": "Bearer hbk_r"}),
        ("/api/v1/webhooks/new", other),
        ("/api/v1/webhooks/off", acme),
        ("/api/v1/webhooks/closed", acme),
        ("/api/v1/webhooks/shop", other),
        ("/api/v1/webhooks/shop?source=none", acme),
        ("/api/v1/webhooks/gone", {"X-Tenant-Id": "retired"}),
        ("/api/v1/webhooks/shop", acme | {"X-Tenant-Id": "No Such!"}),
        ("/api/v1/webhooks/generic/nobody", acme),
        ("/in/unknown", {}),
    ]
    replies = {await edge.post(path, b"{}", headers) for path, headers in asked}
    assert {(reply.status, reply.body) for reply in replies} == {(404, next(iter(replies)).body)}
    assert edge.registrar.made == []
    assert edge.publisher.records == []


async def test_asks_the_registry_once_before_a_404() -> None:
    edge = Edge(snapshot())
    edge.view.fresh = snapshot([GITHUB])
    assert (await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))).status == 200
    assert edge.view.refreshed == 1
    assert (await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))).status == 200
    assert edge.view.refreshed == 1


async def test_a_key_made_a_moment_ago_is_asked_for() -> None:
    edge = Edge(snapshot([source("shop", auth="none")]))
    edge.view.fresh = snapshot([source("shop", auth="none")], keys={"hbk_a": key()})
    assert (await edge.post("/api/v1/webhooks/shop", b"{}", TENANT | {"Authorization": "Bearer hbk_a"})).status == 200


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [(None, Reason.UNAUTHENTICATED), ("Bearer hbk_no", Reason.UNAUTHENTICATED), ("Bearer hbk_r", Reason.FORBIDDEN),
     ("Basic hbk_a", Reason.UNAUTHENTICATED)],
)  # fmt: skip
async def test_auth_none_wants_a_key_that_may(authorization: str | None, reason: Reason) -> None:
    edge = Edge(snapshot([source("shop", auth="none")], keys={"hbk_a": key(), "hbk_r": key(permissions=())}))
    headers = TENANT | ({"Authorization": authorization} if authorization else {})
    assert (await edge.post("/api/v1/webhooks/shop", b"{}", headers)).reason is reason


async def test_several_sources_are_told_apart_by_name() -> None:
    edge = Edge(snapshot([GITHUB, source("github", name="second", secrets=[b"two"])]))
    assert (await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))).reason is Reason.BAD_REQUEST
    headers = signed("github", BODY, secret=b"two")
    assert (await edge.post("/api/v1/webhooks/github?source=second", BODY, headers)).status == 200
    assert edge.publisher.records[0].meta.source_id == "src-acme-second"


@pytest.mark.parametrize("platform", ["Git%20Hub", "GITHUB", "a" * 65, "name", "%C3%A9", "%2e%2e"])
async def test_refuses_a_name_that_is_no_platform(platform: str) -> None:
    reply = await Edge(snapshot()).post(f"/api/v1/webhooks/{platform}", b"{}", TENANT)
    assert (reply.status, reply.reason) == (422, Reason.INVALID_NAME)


async def test_wants_a_tenant() -> None:
    assert (await Edge(snapshot()).post("/api/v1/webhooks/github")).reason is Reason.BAD_REQUEST


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/api/v1/webhooks/github", "/api/v1/webhooks/generic/acme", "/in/x"])
async def test_takes_post_only(method: str, path: str) -> None:
    reply = await Edge(snapshot([GITHUB])).post(path, b"", TENANT, method=method)
    assert (reply.status, reply.headers) == (405, (("Allow", "POST"),))


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Overloaded(Reason.BROKER_SLOW, 4), 503), (Overloaded(Reason.BROKER_AWAY, 4), 503)],
)
async def test_no_2xx_without_an_acknowledgement(fault: Overloaded, status: int) -> None:
    edge = Edge(snapshot([GITHUB]))
    edge.publisher.fault = fault
    reply = await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))
    assert (reply.status, reply.headers, reply.outcome) == (status, (("Retry-After", "4"),), "overloaded")


async def test_an_offset_below_zero_is_no_acknowledgement() -> None:
    edge = Edge(snapshot([GITHUB]))
    edge.publisher.offset_given = -1001
    assert (await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))).status == 503


async def test_a_bug_is_a_500_without_its_text() -> None:
    edge = Edge(snapshot([GITHUB]))
    edge.publisher.on_publish = lambda: (_ for _ in ()).throw(KeyError("inner secret"))
    reply = await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))
    assert (reply.status, reply.reason) == (500, Reason.INTERNAL)
    assert b"inner" not in reply.body
    assert edge.admission.requests == edge.admission.held == 0


async def test_past_the_request_budget_429() -> None:
    edge = Edge(snapshot([GITHUB]))
    edge.publisher.gate = asyncio.Event()
    held = [asyncio.create_task(edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))) for _ in range(10)]
    await asyncio.sleep(0)
    reply = await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))
    assert (reply.status, reply.reason, reply.headers) == (429, Reason.OVERLOADED_SOURCE, (("Retry-After", "7"),))
    edge.admission.requests += 2
    reply = await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY))
    assert (reply.status, reply.reason, reply.headers) == (429, Reason.OVERLOADED_REQUESTS, (("Retry-After", "7"),))
    edge.admission.requests -= 2
    edge.publisher.gate.set()
    assert {(await task).status for task in held} == {200}
    assert edge.admission.requests == edge.admission.held == 0


async def test_past_the_byte_budget_429_before_a_byte_is_read() -> None:
    edge = Edge(snapshot([GITHUB]))
    edge.admission.held = edge.admission.max_bytes - 10
    stream = MemoryBody(BODY)
    reply = await receive(arrival("/api/v1/webhooks/github", BODY, TENANT, stream=stream), edge.env)
    assert (reply.status, reply.reason) == (429, Reason.OVERLOADED_BYTES)
    assert not stream.read
    assert not stream.asked


async def test_413_by_content_length_before_a_byte_is_read() -> None:
    edge = Edge(snapshot([GITHUB]))
    stream = MemoryBody(BODY)
    reply = await receive(arrival("/api/v1/webhooks/github", b"", TENANT, stream=stream, length=2 << 20), edge.env)
    assert (reply.status, reply.reason, reply.close) == (413, Reason.BODY_TOO_LARGE, True)
    assert not stream.read


async def test_413_by_counting_a_chunked_body() -> None:
    edge = Edge(snapshot([GITHUB]))
    stream = MemoryBody(b"", tuple(b"x" * 300_000 for _ in range(5)))
    reply = await receive(arrival("/api/v1/webhooks/github", b"", TENANT, stream=stream, length=None), edge.env)
    assert reply.status == 413
    assert edge.admission.held == 0


async def test_secrets_of_a_request_are_not_stored() -> None:
    edge = Edge(snapshot([source("shop", auth="none")], keys={"hbk_a": key()}))
    headers = (
        ("X-Tenant-Id", "acme"),
        ("Authorization", "Bearer hbk_a"),
        ("Cookie", "c=hide-1"),
        ("X-Gitlab-Token", "hide-2"),
        ("X-Api-Key", "hide-3"),
        ("X-Odd", "\xe9t\xe9"),
        ("X-Odd", "again"),
    )
    await edge.post("/api/v1/webhooks/shop?access_token=hide-4&a=b%20c&%74oken=hide-5&flag", b"{}", headers)
    [kept] = edge.publisher.records
    assert not any(b"hide-" in value or b"hbk_" in value for _, value in kept.headers)
    assert kept.meta.query == "access_token=***&a=b%20c&%74oken=***&flag"
    assert kept.meta.headers[-2:] == (("X-Odd", "\xe9t\xe9"), ("X-Odd", "again"))


async def test_odd_ids_become_digests_and_stay_equal() -> None:
    edge = Edge(snapshot([GITHUB]))
    for _ in range(2):
        await edge.post("/api/v1/webhooks/github", BODY, signed("github", BODY) | {"X-GitHub-Delivery": "x" * 5000})
    first, second = edge.publisher.records
    assert first.meta.event_id == second.meta.event_id
    assert (first.meta.event_id or "").startswith("sha256:")
    assert first.partition == second.partition


@pytest.mark.parametrize(
    ("platform", "headers", "reason", "said_in_words"),
    [
        ("github", {}, "signature_missing", "X-Hub-Signature-256"),
        ("github", {"X-Hub-Signature-256": "md5=00"}, "signature_malformed", "X-Hub-Signature-256"),
        ("github", signed("github", BODY, secret=b"another"), "signature_mismatch", "the secret is this source's"),
        ("stripe", signed("stripe", BODY, 1_700_000_000 - 301), "timestamp_stale", "300 s ago"),
        ("slack", signed("slack", BODY, 1_700_000_000 + 301), "timestamp_future", "clock"),
        ("none", {}, "unauthenticated", "ingestion:write"),
    ],
)
async def test_a_refused_proof_says_what_to_do_and_no_secret(
    platform: str, headers: dict[str, str], reason: str, said_in_words: str
) -> None:
    made = source("shop", auth="none") if platform == "none" else source(platform)
    reply = await Edge(snapshot([made])).post(f"/api/v1/webhooks/{made.platform}", BODY, TENANT | headers)
    problem = said(reply)
    assert (reply.status, problem["reason"]) == (401, reason)
    assert said_in_words in str(problem["detail"])
    assert "s3cret" not in reply.body.decode()
