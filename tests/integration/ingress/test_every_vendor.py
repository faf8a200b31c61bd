"""Every vendor at both real doors: the vendor's own request on a socket, what is answered, what is kept.

The vectors are the kit's (tests/contract/vendors); here they meet HTTP. What each vendor is answered stands here a
second time, from the vendors' documents: one without a line in `ANSWERS` fails, and a handshake without its `ASKED`.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yarl
from aiohttp import ClientSession, web

from ingress.mount import add_data_plane, server_options
from schemas.definitions.view import SourceView
from schemas.reasons import Reason
from schemas.vendors import VENDORS
from tests.contract.vendors.roster import SENDERS, whole
from tests.contract.vendors.senders import NOW, URL, Sender, Sent, placed, send, token
from tests.contract.vendors.tokens import BODY as ACTIVITY
from tests.contract.vendors.tokens import JWKS_URL, TEAMS
from tests.fakes.edge import Edge
from tests.fakes.registry import snapshot, source
from tests.integration.ingress.door import served

KIT = Path(__file__).parents[2] / "contract/vendors"
ORIGIN, PATH = "https://hooks.example.com", "/in/t0ken"
JSON, TEXT, PROBLEM = "application/json", "text/plain; charset=utf-8", "application/problem+json"
BOTS = "https://login.botframework.com/v1/.well-known/openidconfiguration"
DOORS = ("fast", "mounted")
UNPROVEN = {reason.value for reason in Reason if reason.status == 401}


@dataclass(frozen=True)
class Answer:
    """What came back, or what is wanted: `body` None is ours with a receipt, `content_type` None is any."""

    status: int = 200
    body: bytes | None = None
    content_type: str | None = JSON
    headers: dict[str, str] = field(default_factory=dict)


OURS = Answer()
ANSWERS = {
    "adyen": Answer(200, b"[accepted]", "text/plain"),
    "adyen-platform": Answer(200, b"[accepted]", "text/plain"),
    "bitbucket": OURS,
    "cloudevents": Answer(202),  # accepted, not processed
    "discord": Answer(204, b"", None),
    "eventgrid": Answer(202),
    "generic": OURS,
    "github": OURS,
    "gitlab": OURS,
    "hubspot": OURS,
    "intercom": OURS,
    "jira": OURS,  # 200 and 204 alone are good
    "linear": OURS,
    "meta": OURS,  # 200 alone is safe
    "msgraph": Answer(202),
    "openmetadata": OURS,  # one build takes 200 alone
    "paddle": OURS,
    "pagerduty": OURS,
    "segment": OURS,
    "sendgrid": OURS,
    "shopify": OURS,
    "slack": OURS,
    "square": OURS,
    "standardwebhooks": OURS,
    "stripe": OURS,
    "svix": OURS,
    "teams": OURS,
    "teams-outgoing": Answer(200, b'{"type":"message","text":"received"}'),  # shown to people, so ours would be odd
    "twilio": Answer(200, b'<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml"),
    "whatsapp": OURS,
    "zendesk": OURS,
}
REFUSED = dict.fromkeys(ANSWERS, 401)
"""Discord and Shopify look for it; a 4xx makes the others give up, which is what a forged request deserves."""


@dataclass(frozen=True)
class Asked:
    """A handshake's request and its answer; `age_s`: how old the signature is; `answer` None: the vendor's success."""

    vendor: str
    name: str
    answer: Answer | None
    method: str = "POST"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    signed: bool = False
    age_s: int = 0
    secrets: tuple[str, ...] = ()
    path: str = PATH


CHALLENGE = b'{"type":"url_verification","challenge":"3eZb","token":"t"}'
SUBSCRIBE = "hub.mode=subscribe&hub.verify_token={}&hub.challenge=1158201444"
TOKENS = ("app-secret", "verify_token:right")
ORIGIN_ASKED = (("WebHook-Request-Origin", "eventemitter.example.com"), ("WebHook-Request-Rate", "120"))
CONSENT = {
    "WebHook-Allowed-Origin": "eventemitter.example.com",
    "WebHook-Allowed-Rate": "120",
    "Allow": "POST",
}
ONLY_POST = Answer(405, content_type=PROBLEM, headers={"Allow": "POST"})
FORGED = Answer(401, content_type=PROBLEM)
PING = b'{"version":1,"application_id":"1","type":0}'
WRONG_TOKEN = Answer(403, b"the verify token is not one of this source's", TEXT)


def _asked() -> Iterator[Asked]:
    yield Asked("slack", "challenge", Answer(200, b"3eZb", TEXT), body=CHALLENGE, signed=True)
    yield Asked("slack", "unsigned", FORGED, body=CHALLENGE)
    yield Asked("slack", "stale", FORGED, body=CHALLENGE, signed=True, age_s=301)
    validation = Answer(200, b"Validation: Testing", TEXT, {"X-Content-Type-Options": "nosniff"})
    yield Asked("msgraph", "validation", validation, query="validationToken=Validation%3a+Testing")
    for vendor in ("meta", "whatsapp"):
        right = Answer(200, b"1158201444", TEXT)
        yield Asked(vendor, "right", right, "GET", SUBSCRIBE.format("right"), secrets=TOKENS)
        yield Asked(vendor, "wrong", WRONG_TOKEN, "GET", SUBSCRIBE.format("wrong"), secrets=TOKENS)
    for vendor in ("cloudevents", "eventgrid"):
        yield Asked(vendor, "consent", Answer(200, b"", None, CONSENT), "OPTIONS", headers=ORIGIN_ASKED)
        yield Asked(vendor, "nobody", ONLY_POST, "OPTIONS", headers=ORIGIN_ASKED, path="/in/unknown")
    yield Asked("discord", "events", Answer(204, b""), body=PING, signed=True)
    yield Asked("discord", "bad-signature", FORGED, body=PING)
    yield Asked("discord", "interactions", Answer(200, b'{"type":1}'), body=b'{"type":1}', signed=True)
    yield Asked("intercom", "is-there", Answer(200, b"", None), "HEAD")
    ping = (("X-GitHub-Event", "ping"),)
    yield Asked("github", "ping", None, headers=ping, body=b'{"zen":"x","hook_id":1,"hook":{}}', signed=True)
    yield Asked("intercom", "ping", None, body=b'{"id":"notif_1","topic":"ping"}', signed=True)
    yield Asked("openmetadata", "test", None, body=b'{"message":"test"}', signed=True)


ASKED = tuple(_asked())


@asynccontextmanager
async def at(door: str, edge: Edge) -> AsyncIterator[str]:
    """Serve an edge by one of the two doors; yield its address."""
    if door == "fast":
        async with served(edge) as open_door:
            yield f"http://127.0.0.1:{open_door.port}"
        return
    app = web.Application()
    add_data_plane(app, edge.env)
    runner = web.AppRunner(app, **server_options(30))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def edge_of(view: SourceView) -> Edge:
    edge = Edge(snapshot([view], urls={"t0ken": (view.id, "url-1")}))
    edge.clock.advance(NOW - edge.clock.time_ns() // 1_000_000_000)
    edge.egress.answers = {
        BOTS: json.dumps({"issuer": TEAMS.issuer, "jwks_uri": JWKS_URL}).encode(),
        JWKS_URL: json.dumps({"keys": [TEAMS.jwk()]}).encode(),
    }
    return edge


async def ask(http: ClientSession, address: str, sent: Sent) -> Answer:
    """Send a request, its target as it stands."""
    url = yarl.URL(address + sent.url.removeprefix(ORIGIN), encoded=True)
    skipped = ("Content-Type", "User-Agent", "Accept")
    given = {name: value.encode("latin-1").decode() for name, value in sent.headers}  # the client writes UTF-8
    async with http.request(sent.method, url, data=sent.body, headers=given, skip_auto_headers=skipped) as said:
        return Answer(said.status, await said.read(), said.headers.get("Content-Type"), dict(said.headers))


# ---- deliveries
@dataclass(frozen=True)
class Way:
    """One way of a vendor to prove itself: a right request and wrong ones."""

    scheme: str
    coverage: str
    view: SourceView
    sent: Sent
    wrong: tuple[Sent, ...]


def _flipped(sender: Sender) -> Sent:
    """Return the request with one bit of each signature changed."""

    def seal(secret: str, message: bytes) -> bytes:
        raw = sender.seal(secret, message)
        return raw[:-1] + bytes([raw[-1] ^ 1])

    return send(sender, NOW, seal=seal)


def _altered(sender: Sender, sent: Sent) -> tuple[Sent, ...]:
    """Return requests whose covered bytes were changed on the way; none where nothing is covered."""
    body = sent.body
    if sender.coverage == "full":
        return (replace(sent, body=body[:-4] + bytes([body[-4] ^ 1]) + body[-3:]),)
    changes = {"adyen": (b"1130", b"1131"), "segment": (b"track", b"group")}
    return (replace(sent, body=body.replace(*changes[sender.vendor])),) if sender.coverage == "partial" else ()


GENERIC = Sender(
    "generic", "bearer", ("t0ken-1", "t0ken-2"), whole, token, "Authorization", "text",
    frame=lambda signature, _time: f"Bearer {signature}", coverage="none",
)  # fmt: skip


def ways(name: str) -> Iterator[Way]:
    """Yield every way of a vendor, from the kit's senders and issuers."""
    for sender in (*SENDERS, GENERIC):
        if sender.vendor == name:
            auth = {"type": "bearer"} if sender is GENERIC else None
            view = source(name, auth=auth, secrets=[sender.secrets[0].encode()])
            sent = send(sender, NOW)
            wrong = (_flipped(sender), placed(sender, sent, None), *_altered(sender, sent))
            yield Way(sender.scheme, sender.coverage, view, sent, wrong)
    if name == "teams":
        said = TEAMS.make()
        sent = Sent(URL, (("Authorization", f"Bearer {said}"), ("Content-Type", JSON)), ACTIVITY)
        forged = replace(sent, headers=(("Authorization", f"Bearer {said[:-3] + said[-3:].swapcase()}"),))
        elsewhere = replace(sent, body=ACTIVITY.replace(b"smba", b"evil"))
        yield Way("teams", "none", source(name, auth=TEAMS.auth()), sent, (forged, elsewhere))


def test_every_vendor_has_its_line() -> None:
    assert set(ANSWERS) == set(VENDORS)
    assert {name for name, vendor in VENDORS.items() if vendor.handshakes} <= {one.vendor for one in ASKED}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", sorted(VENDORS))
async def test_takes_what_the_vendor_signed_and_refuses_what_was_changed(name: str, door: str) -> None:
    wanted, met = ANSWERS[name], set()
    for way in ways(name):
        edge = edge_of(way.view)
        async with at(door, edge) as address, ClientSession() as http:
            said = await ask(http, address, way.sent)
            [kept] = edge.publisher.records
            assert said.status == wanted.status
            assert wanted.content_type in {None, said.content_type}
            if wanted.body is None:
                receipt = json.loads(said.body or b"")
                assert (receipt["accepted"], receipt["deliveryId"]) == (True, kept.meta.delivery_id)
            else:
                assert said.body == wanted.body
            assert kept.value == way.sent.body
            assert (kept.meta.auth.scheme, kept.meta.auth.coverage) == (way.scheme, way.coverage)
            for wrong in way.wrong:
                assert wrong != way.sent
                said = await ask(http, address, wrong)
                assert (said.status, said.content_type) == (REFUSED[name], PROBLEM)
                assert json.loads(said.body or b"")["reason"] in UNPROVEN
            assert edge.publisher.records == [kept]
        met.add(way.scheme)
    assert met >= {scheme.name for scheme in VENDORS[name].schemes}
    assert met


EVENTS = b"""[{"specversion":"1.0","id":"EZ1","source":"/SM1","type":"com.twilio.messaging.message.sent",
"time":"2025-06-15T15:06:40Z","data":{"messageSid":"SM1"}}]"""


@pytest.mark.parametrize("door", DOORS)
async def test_twilios_event_streams_are_cloudevents_that_twilio_signs(door: str) -> None:
    """One vendor's signature on another's envelope: auth and platform of a source are two things."""
    url = f"{ORIGIN}{PATH}?bodySHA256={hashlib.sha256(EVENTS).hexdigest()}"
    sender = replace(next(one for one in SENDERS if "bodySHA256" in one.url), url=url)
    edge = edge_of(source("cloudevents", auth="twilio", secrets=[sender.secrets[0].encode()]))
    sent = send(sender, NOW, body=EVENTS)
    async with at(door, edge) as address, ClientSession() as http:
        assert (await ask(http, address, sent)).status == ANSWERS["cloudevents"].status
        assert (await ask(http, address, replace(sent, body=EVENTS.replace(b"EZ1", b"EZ2")))).status == 401
    [kept] = edge.publisher.records
    assert (kept.meta.auth.scheme, kept.meta.auth.coverage) == ("twilio", "full")
    facts = VENDORS["cloudevents"].facts(json.loads(kept.value)[0], {})
    assert (facts.event_type, facts.vendor_event_id) == ("com.twilio.messaging.message.sent", "/SM1 EZ1")


# ---- handshakes
def _signed(one: Asked) -> tuple[SourceView, Sent]:
    sender = next((each for each in SENDERS if each.vendor == one.vendor), None)
    secrets = one.secrets or (sender.secrets[:1] if sender else ())
    view = source(one.vendor, auth=None if sender else "url", secrets=[text.encode() for text in secrets])
    url = ORIGIN + one.path + (f"?{one.query}" if one.query else "")
    sent = Sent(url, one.headers, one.body, one.method)
    if one.signed and sender is not None and sender.place == "header":
        sent = send(replace(sender, url=url, extra=(*sender.extra, *one.headers)), NOW - one.age_s, body=one.body)
    return view, sent


async def _greeted(one: Asked, door: str) -> tuple[Edge, Answer]:
    view, sent = _signed(one)
    edge = edge_of(view)
    async with at(door, edge) as address, ClientSession() as http:
        return edge, await ask(http, address, sent)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("one", ASKED, ids=lambda one: f"{one.vendor}:{one.name}")
async def test_answers_a_handshake_as_the_vendor_documents_it(one: Asked, door: str) -> None:
    edge, said = await _greeted(one, door)
    wanted = one.answer or ANSWERS[one.vendor]
    assert said.status == wanted.status
    assert {name: said.headers.get(name) for name in wanted.headers} == wanted.headers
    if one.answer is None:  # a delivery that the stage counts as control
        [kept] = edge.publisher.records
        item = json.loads(kept.value)
        kind = VENDORS[one.vendor].facts(item, {name.lower(): value for name, value in one.headers}).event_type
        assert kind in VENDORS[one.vendor].control
        return
    assert edge.publisher.records == []
    assert wanted.content_type in {None, said.content_type}
    if wanted.body is None:
        assert b"3eZb" not in (said.body or b"")
    else:
        assert said.body == wanted.body


def _rows() -> Iterator[Any]:
    for name in sorted(VENDORS):
        for row in json.loads((KIT / name / "handshakes.json").read_text("utf-8")):
            if not any("\n" in value for value in row["headers"].values()):  # no header on a wire holds a line's end
                yield pytest.param(name, row, id=f"{name}:{row['name']}")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("name", "row"), list(_rows()))
async def test_the_rows_of_the_kit_hold_at_the_door(name: str, row: dict[str, Any], door: str) -> None:
    one = Asked(
        name, row["name"], None, row["method"], row["query"], tuple(row["headers"].items()), row["body"].encode(),
        row["signed"], secrets=tuple(row.get("secrets", ())),
    )  # fmt: skip
    edge, said = await _greeted(one, door)
    wanted = row["answer"]
    if wanted is None:
        sender = next((each for each in SENDERS if each.vendor == name), None)
        provable = sender is None or sender.place == "header"
        assert said.status == (ANSWERS[name].status if provable else REFUSED[name])
        assert len(edge.publisher.records) == int(provable)
        return
    assert edge.publisher.records == []
    assert said.status == wanted["status"]
    if wanted["status"] < 400:
        assert said.body == wanted["body"].encode()
        assert {header: said.headers.get(header) for header in wanted["headers"]} == wanted["headers"]
        assert not said.body or said.content_type == wanted["contentType"]
