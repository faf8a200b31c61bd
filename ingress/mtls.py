"""Client certificates as proof (auth type `mtls`): which one a request comes with, and whether the source takes it.

Lives here: whom to ask (the connection, or a proxy that is trusted by address) and the order of the checks. Total. Not
here: reading certificates (certificate.py) and headers (client_header.py), the listener (tls.py). Spec section 6.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

from cryptography import x509

from ingress import certificate, client_header
from ingress.arrival import Arrival
from ingress.certificate import Identity
from schemas.definitions.auth_mtls import MtlsAuth
from schemas.errors import ConfigurationError
from schemas.reasons import Reason
from schemas.settings.processes import DoorSettings
from schemas.signing import Invalid
from schemas.wire.raw import AuthResult

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Trust:
    """What the listener believes now: authorities, and serial numbers that they have revoked, by issuer.

    `lists_until_s`: when the first list of revoked certificates is out of date (epoch seconds), None without lists.
    """

    authorities: tuple[x509.Certificate, ...] = ()
    revoked: Mapping[x509.Name, frozenset[int]] = field(default_factory=dict)
    lists_until_s: float | None = None


class Listener(Protocol):
    """What the TLS listener tells; implemented by ingress.tls.Listener."""

    @property
    def trust(self) -> Trust:
        """Return what is believed now."""

    def is_current(self, context: object) -> bool:
        """Tell whether the authorities are those that a connection of this TLS context was judged by."""


@dataclass(frozen=True, slots=True)
class Client:
    """The certificate that a request comes with; `who` None: none, or one that cannot be read (`given`).

    `trust`: of our own listener, None where a proxy ended TLS and answers for the chain; `current` False: the listener
    has other authorities by now than at this connection's handshake.
    """

    who: Identity | None = None
    given: bool = False
    trust: Trust | None = None
    current: bool = True


NOBODY = Client()


@dataclass(frozen=True, slots=True)
class Clients:
    """Finds the certificate of a request; `form` is that of `header`, which only `proxies` may set."""

    proxies: tuple[Network, ...] = ()
    header: str = ""
    form: str = "pem"
    listener: Listener | None = None

    def of(self, arrival: Arrival) -> Client:
        """Return whose request this is: of a trusted proxy what it says and no more, else of the connection."""
        link = arrival.link
        if link is None:
            return NOBODY
        if self.header and self._is_proxy(link.peer()):
            values = [value for name, value in arrival.headers.pairs if name.lower() == self.header]
            return Client(client_header.read(self.form, values), given=bool(values))
        shown = None if self.listener is None else link.certificate()
        if shown is None or self.listener is None:
            return NOBODY
        der, context = shown
        return Client(
            certificate.of_der(der), given=True, trust=self.listener.trust, current=self.listener.is_current(context)
        )

    def _is_proxy(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(
            address.version == network.version and address in network for network in self.proxies
        )


def clients(settings: DoorSettings, listener: Listener | None) -> Clients:
    """Make it of the settings; raise `ConfigurationError` for a network that is none."""
    found: list[Network] = []
    for text in filter(None, (part.strip() for part in settings.trusted_proxies.split(","))):
        try:
            found.append(ip_network(text))
        except ValueError as exc:
            raise ConfigurationError(f"HOOKBERG_TRUSTED_PROXIES: {exc}; for example 10.0.0.0/8,127.0.0.1") from None
    header = settings.client_cert_header.lower()
    if header and not found:
        raise ConfigurationError("HOOKBERG_CLIENT_CERT_HEADER needs HOOKBERG_TRUSTED_PROXIES: who may set the header")
    return Clients(tuple(found), header, settings.client_cert_format, listener)


def judge(rule: MtlsAuth, client: Client, now_s: float) -> AuthResult | Invalid:
    """Judge a certificate by a source's rule at `now_s` (epoch seconds)."""
    who = client.who
    if who is None:
        return Invalid(Reason.CERTIFICATE_MALFORMED if client.given else Reason.CERTIFICATE_MISSING)
    fault = _fault(rule, who, client, now_s)
    if fault is not None:
        return Invalid(fault)
    return AuthResult("mtls", "none", f"sha256:{who.fingerprint}" if who.fingerprint else None)


def _fault(rule: MtlsAuth, who: Identity, client: Client, now_s: float) -> Reason | None:
    """Return what is wrong with a certificate: its time, its authority's word, its issuer, its owner, in this order."""
    shown = who.certificate
    if shown is not None:
        fault = _listed(shown, client, now_s) if certificate.is_valid_at(shown, now_s) else Reason.CERTIFICATE_EXPIRED
        if fault is not None:
            return fault
    if rule.ca is not None and not _is_issued(shown, _authorities(rule.ca), now_s):
        return Reason.CERTIFICATE_UNTRUSTED
    return None if certificate.allows(rule, who) else Reason.CERTIFICATE_NOT_ALLOWED


def _listed(shown: x509.Certificate, client: Client, now_s: float) -> Reason | None:
    """Return what the listener's authorities say of a certificate by now; a handshake may have been long ago."""
    trust = client.trust
    if trust is None:
        return None
    if not client.current and not _is_issued(shown, trust.authorities, now_s):
        return Reason.CERTIFICATE_UNTRUSTED
    if trust.lists_until_s is not None and now_s > trust.lists_until_s:
        return Reason.REVOCATION_UNKNOWN
    return Reason.CERTIFICATE_REVOKED if shown.serial_number in trust.revoked.get(shown.issuer, ()) else None


def _authorities(pem: str) -> tuple[x509.Certificate, ...]:
    try:
        return certificate.authorities(pem)
    except ValueError:
        return ()  # the API refuses such a bundle; one that is there all the same issues nothing


def _is_issued(shown: x509.Certificate | None, known: tuple[x509.Certificate, ...], now_s: float) -> bool:
    return shown is not None and certificate.is_issued_by(shown, known, now_s)


def remedy(reason: Reason) -> str:
    """Say in words what to do; nothing of what would have been taken."""
    return _WORDS.get(reason, reason.text)


_WORDS = {
    Reason.CERTIFICATE_MISSING: "this source takes senders with a client certificate: post to the TLS listener (or the "
    "proxy that passes certificates on) and present one",
    Reason.CERTIFICATE_MALFORMED: "the client certificate that was passed on cannot be read: the proxy must write "
    "it once, as HOOKBERG_CLIENT_CERT_FORMAT says",
    Reason.CERTIFICATE_EXPIRED: "the client certificate is past its end or not begun: renew it, check the clocks",
    Reason.CERTIFICATE_REVOKED: "the authority has revoked this client certificate: use its successor",
    Reason.CERTIFICATE_UNTRUSTED: "the client certificate was issued by none of the authorities that are taken here: "
    "the source's owner compares the issuer with auth.ca; after a change of authorities, connect again",
    Reason.CERTIFICATE_NOT_ALLOWED: "the certificate is genuine, but the source names neither its subject nor one of "
    "its alternative names: its owner adds one to auth.subjects, dnsNames, uris or emails",
}


def _address(peer: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
