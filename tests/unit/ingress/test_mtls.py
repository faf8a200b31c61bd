"""Whose certificate a request comes with, and which sources it proves: connections, trusted proxies, everybody else."""

import base64
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import pytest
from msgspec import structs

from ingress import mtls
from ingress.arrival import Reply
from ingress.mtls import Clients, Trust, clients
from ingress.receive import receive
from schemas.errors import ConfigurationError
from schemas.reasons import Reason
from schemas.settings.processes import IngressSettings
from tests.fakes.clock import ManualClock
from tests.fakes.edge import Edge, arrival
from tests.fakes.registry import snapshot, source
from tests.house.certificates import DAY, Held, authority, issued

ROOT, OTHER = authority("Root"), authority("Other")
SENDER = issued(ROOT, "CN=hooks,O=Vendor", dns=["hooks.vendor.example"], uris=["spiffe://vendor/hooks"])
STRANGER = issued(ROOT, "CN=stranger", dns=["stranger.example"])
NOW = time.time()
PROXY = "10.1.2.3"
HEADER = "X-Client-Cert"
CURRENT, FORMER = object(), object()


@dataclass(frozen=True)
class FixedLink:
    """Implements ingress.arrival.Link."""

    address: str = "192.0.2.7"
    shown: Held | None = None
    context: object = CURRENT

    def peer(self) -> str:
        return self.address

    def is_tls(self) -> bool:
        return self.shown is not None

    def certificate(self) -> tuple[bytes, object] | None:
        return None if self.shown is None else (self.shown.der, self.context)


@dataclass
class FixedListener:
    """Implements ingress.mtls.Listener."""

    trust: Trust = field(default_factory=lambda: Trust((ROOT.certificate,)))

    def is_current(self, context: object) -> bool:
        return context is CURRENT


def settings(**given: str) -> IngressSettings:
    return IngressSettings.model_validate({"kafka_bootstrap_servers": "k:1", "registry_url": "sqlite://", **given})


def edge(*, proxies: str = "", form: str = "pem", listener: FixedListener | None = None, **rule: Any) -> Edge:
    auth = {"type": "mtls", **(rule or {"dnsNames": ["hooks.vendor.example"]})}
    made = Edge(snapshot([source("shop", auth=auth, secrets=())]))
    made.clock = ManualClock(NOW)
    given = {"trusted_proxies": proxies, "client_cert_header": HEADER, "client_cert_format": form} if proxies else {}
    made.env = replace(made.env, clock=made.clock, clients=clients(settings(**given), listener or FixedListener()))
    return made


async def post(made: Edge, link: FixedLink | None, *headers: tuple[str, str]) -> Reply:
    plain = arrival("/api/v1/webhooks/shop", b"{}", (("X-Tenant-Id", "acme"), *headers))
    return await receive(structs.replace(plain, link=link), made.env)


def passed_on(held: Held) -> tuple[str, str]:
    return HEADER, quote(held.pem, safe="")


async def test_a_certificate_of_the_connection_proves_the_source_that_names_it() -> None:
    made = edge()
    assert (await post(made, FixedLink(shown=SENDER))).status == 200
    [record] = made.publisher.records
    proof = json.loads(dict(record.headers)["hb-auth"])
    assert (proof["scheme"], proof["coverage"]) == ("mtls", "none")
    assert proof["secretId"].startswith("sha256:")


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        (None, Reason.CERTIFICATE_MISSING),
        (FixedLink(), Reason.CERTIFICATE_MISSING),
        (FixedLink(shown=STRANGER), Reason.CERTIFICATE_NOT_ALLOWED),
        (FixedLink(shown=issued(ROOT, dns=["hooks.vendor.example"], ends=-DAY / 2)), Reason.CERTIFICATE_EXPIRED),
    ],
)
async def test_any_other_is_refused_with_a_clear_reason(link: FixedLink | None, reason: Reason) -> None:
    made = edge()
    reply = await post(made, link)
    assert (reply.status, reply.reason) == (401, reason)
    assert json.loads(reply.body)["detail"] == mtls.remedy(reason)
    assert made.publisher.records == []


async def test_a_revoked_certificate_is_refused_on_a_connection_that_stands() -> None:
    listener = FixedListener()
    made = edge(listener=listener)
    link = FixedLink(shown=SENDER)
    assert (await post(made, link)).status == 200
    serial = frozenset({SENDER.certificate.serial_number})
    listener.trust = Trust((ROOT.certificate,), {ROOT.certificate.subject: serial}, NOW + 60)
    assert (await post(made, link)).reason is Reason.CERTIFICATE_REVOKED
    listener.trust = Trust((ROOT.certificate,), {OTHER.certificate.subject: serial}, NOW + 60)
    assert (await post(made, link)).status == 200


async def test_a_list_past_its_end_proves_nobody_and_the_sender_tries_again() -> None:
    made = edge(listener=FixedListener(Trust((ROOT.certificate,), {}, NOW - 1)))
    reply = await post(made, FixedLink(shown=SENDER))
    assert (reply.status, reply.reason) == (503, Reason.REVOCATION_UNKNOWN)


async def test_a_removed_authority_ends_the_connections_of_its_certificates() -> None:
    made = edge(listener=FixedListener(Trust((OTHER.certificate,))))
    reply = await post(made, FixedLink(shown=SENDER, context=FORMER))
    assert (reply.reason, reply.close) == (Reason.CERTIFICATE_UNTRUSTED, True)
    made = edge(listener=FixedListener(Trust((OTHER.certificate, ROOT.certificate))))
    assert (await post(made, FixedLink(shown=SENDER, context=FORMER))).status == 200


async def test_a_sources_own_authority_counts_beside_the_listeners() -> None:
    names: dict[str, Any] = {"dnsNames": ["hooks.vendor.example"]}
    assert (await post(edge(**names, ca=ROOT.pem), FixedLink(shown=SENDER))).status == 200
    assert (await post(edge(**names, ca=OTHER.pem + ROOT.pem), FixedLink(shown=SENDER))).status == 200
    reply = await post(edge(**names, ca=OTHER.pem), FixedLink(shown=SENDER))
    assert reply.reason is Reason.CERTIFICATE_UNTRUSTED


async def test_a_rule_that_cannot_be_read_names_nobody() -> None:
    broken = "-----BEGIN CERTIFICATE-----"
    reply = await post(edge(dnsNames=["hooks.vendor.example"], ca=broken), FixedLink(shown=SENDER))
    assert reply.reason is Reason.CERTIFICATE_UNTRUSTED
    reply = await post(edge(subjects=["hooks"]), FixedLink(shown=SENDER))
    assert reply.reason is Reason.CERTIFICATE_NOT_ALLOWED


@pytest.mark.parametrize("peer", [PROXY, "::ffff:10.1.2.3", "2001:db8::7", "fe80::1%eth0"])
async def test_a_trusted_proxy_passes_a_certificate_on(peer: str) -> None:
    made = edge(proxies="10.1.0.0/16, 2001:db8::/32,fe80::/10")
    assert (await post(made, FixedLink(peer), passed_on(SENDER))).status == 200
    assert (await post(made, FixedLink(peer), passed_on(STRANGER))).reason is Reason.CERTIFICATE_NOT_ALLOWED


@pytest.mark.parametrize("peer", ["10.2.0.1", "192.0.2.7", "2001:db9::7", "", "unix", "::"])
async def test_nobody_else_does(peer: str) -> None:
    made = edge(proxies="10.1.0.0/16,2001:db8::/32")
    assert (await post(made, FixedLink(peer), passed_on(SENDER))).reason is Reason.CERTIFICATE_MISSING
    assert (await post(made, FixedLink(peer, STRANGER), passed_on(SENDER))).reason is Reason.CERTIFICATE_NOT_ALLOWED


async def test_the_header_is_off_by_default_even_for_the_machine_itself() -> None:
    made = edge()
    assert (await post(made, FixedLink("127.0.0.1"), passed_on(SENDER))).reason is Reason.CERTIFICATE_MISSING


async def test_a_proxys_own_certificate_is_never_its_senders() -> None:
    made = edge(proxies="10.1.0.0/16")
    link = FixedLink(PROXY, shown=SENDER)
    assert (await post(made, link)).reason is Reason.CERTIFICATE_MISSING
    assert (await post(made, link, passed_on(STRANGER))).reason is Reason.CERTIFICATE_NOT_ALLOWED


async def test_a_header_beside_the_proxys_own_is_refused() -> None:
    made = edge(proxies="10.1.0.0/16")
    reply = await post(made, FixedLink(PROXY), passed_on(SENDER), passed_on(STRANGER))
    assert reply.reason is Reason.CERTIFICATE_MALFORMED
    assert (await post(made, FixedLink(PROXY), (HEADER, "(null)"))).reason is Reason.CERTIFICATE_MALFORMED


async def test_a_certificate_that_was_passed_on_still_has_its_time_and_its_authority() -> None:
    late = issued(ROOT, dns=["hooks.vendor.example"], ends=-DAY / 2)
    made = edge(proxies="10.1.0.0/16", dnsNames=["hooks.vendor.example"], ca=OTHER.pem)
    assert (await post(made, FixedLink(PROXY), passed_on(late))).reason is Reason.CERTIFICATE_EXPIRED
    assert (await post(made, FixedLink(PROXY), passed_on(SENDER))).reason is Reason.CERTIFICATE_UNTRUSTED


async def test_xfcc_tells_names_and_cannot_meet_a_sources_own_authority() -> None:
    names = ("X-CLIENT-cert", 'By=spiffe://us;Subject="CN=hooks,O=Vendor";URI=spiffe://vendor/hooks')
    made = edge(proxies="10.1.0.0/16", form="xfcc", uris=["spiffe://vendor/*"])
    assert (await post(made, FixedLink(PROXY), names)).status == 200
    made = edge(proxies="10.1.0.0/16", form="xfcc", uris=["spiffe://vendor/*"], ca=ROOT.pem)
    assert (await post(made, FixedLink(PROXY), names)).reason is Reason.CERTIFICATE_UNTRUSTED
    whole = (HEADER, f"Cert={base64.b64encode(SENDER.der).decode().replace('=', '%3D')}")
    assert (await post(made, FixedLink(PROXY), whole)).status == 200


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"trusted_proxies": "10.0.0.1/8"}, "has host bits set"),
        ({"trusted_proxies": "proxy.example"}, "does not appear to be an IPv4 or IPv6 network"),
        ({"client_cert_header": "X-Cert"}, "HOOKBERG_TRUSTED_PROXIES"),
    ],
)
def test_settings_that_would_trust_somebody_else_are_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        clients(settings(**given), None)


def test_without_a_listener_and_proxies_nobody_has_a_certificate() -> None:
    plain = arrival("/in/x")
    assert Clients().of(structs.replace(plain, link=FixedLink(shown=SENDER))) is mtls.NOBODY
