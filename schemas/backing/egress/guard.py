"""Which URLs and addresses may be called on behalf of a user: the guard against server-side request forgery.

Lives here: what the text of a URL gives away, what an address is, how a URL is shown. Pure: no look-up, no call. The
attacks: https://cheatsheetseries.owasp.org (Server-Side Request Forgery).
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from yarl import URL

from schemas.errors import ConfigurationError
from schemas.settings.notify import EndpointSettings
from schemas.settings.processes import EgressSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS = {"https": 443, "http": 80}
_NAME = re.compile(
    r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII
)
_WORD = re.compile(r"[A-Za-z][A-Za-z_.-]{0,23}[0-9]{0,3}", re.ASCII)
_MAX_NAME = 253
KNOWN_URLS = 4_096
"""URLs taken apart that are remembered: an endpoint's is looked at before each call."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What may be called: https only and public addresses only, but for what the operator allows.

    `networks_setting` and `http_setting` are the names of the settings that allow more, for the words of a refusal.
    """

    allow_http: bool = False
    networks: tuple[Network, ...] = ()
    networks_setting: str = "egress_networks"
    http_setting: str = "egress_allow_http"

    @classmethod
    def for_webhooks(cls, given: EndpointSettings) -> "Guard":
        """Read the settings of what outbound webhooks call; raise `ConfigurationError` as `of` does.

        Of its own, because the API's settings are both: which ones are meant must not hang on their type.
        """
        networks = _networks("notify_allow_private", given.notify_allow_private)
        return cls(given.notify_allow_http, networks, "notify_allow_private", "notify_allow_http")

    @classmethod
    def of(cls, given: EgressSettings) -> "Guard":
        """Read the settings of what is fetched; raise `ConfigurationError` when a network cannot be read."""
        return cls(given.egress_allow_http, _networks("egress_networks", given.egress_networks))

    def refusal(self, url: str) -> str | None:
        """Say why a URL is not called, as far as its text tells; None when nothing speaks against it. Total."""
        try:
            parts = split(url)
        except ValueError as exc:
            return str(exc)
        if parts.scheme == "http" and not self.allow_http:
            return f"use https: the setting {self.http_setting} is off"
        try:
            literal = ipaddress.ip_address(parts.hostname or "")
        except ValueError:
            return None
        return None if self.allows(literal) else self.forbidden(str(literal))

    def allows(self, address: Address) -> bool:
        """Tell whether an address may be connected to; an IPv4 address inside an IPv6 one counts as what it is."""
        inner = _inner(address)
        if any(inner.version == net.version and inner in net for net in self.networks):
            return True
        old = isinstance(inner, ipaddress.IPv6Address) and inner.is_site_local
        return inner.is_global and not (inner.is_multicast or inner.is_reserved or old)

    def forbidden(self, what: str) -> str:
        """Say that an address is not called, and what would change that."""
        return (
            f"{what} is no public address: calls into private networks are refused unless {self.networks_setting} "
            "names them"
        )


@lru_cache(maxsize=KNOWN_URLS)
def split(url: str) -> SplitResult:
    """Take a URL apart; raise ValueError, in words, for one that two readers might take for different hosts."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the URL must be https://host/path, its port 1 to 65535") from None
    host = parts.hostname
    if parts.scheme not in _PORTS or not host:
        raise ValueError("the URL must be https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("the URL must have no user, password or fragment")
    if not url.isascii() or any(character <= " " or character in "\\\x7f" for character in url):
        raise ValueError("the URL must be ASCII, without spaces and backslashes")
    if port == 0:
        raise ValueError("the URL's port must be 1 to 65535")
    if not (_NAME.fullmatch(host) and len(host) <= _MAX_NAME) and not _is_address(host):
        raise ValueError("the URL's host must be a DNS name, or an address in its usual form")
    if not _read_alike(url, parts):
        raise ValueError("the URL can be read in two ways: write https://host/path")
    return parts


def port_of(parts: SplitResult) -> int:
    """Return the port that a URL means."""
    return parts.port or _PORTS[parts.scheme]


def shown(url: str) -> str:
    """Return a URL as logs and answers may show it: scheme, host, first part of the path if it is a plain word.

    The rest may be the credential itself (Slack, Teams), so may the query: `https://hooks.slack.com/services/…`. Total.
    """
    try:
        parts = split(url)
    except ValueError:
        return "…"
    _, first, *rest = (*parts.path.split("/", 2), "") if parts.path else ("", "", "")
    base = f"{parts.scheme}://{parts.netloc}/"
    if first and not _WORD.fullmatch(first):
        return f"{base}…"
    more = f"{first}/…" if any(rest) else first
    return f"{base}{more}?…" if parts.query and not more.endswith("…") else f"{base}{more}"


def _read_alike(url: str, parts: SplitResult) -> bool:
    """Tell whether the library that makes the call reads scheme, host and port as the guard does."""
    try:
        other = URL(url, encoded=True)
        return (other.scheme, other.host, other.port) == (parts.scheme, parts.hostname, port_of(parts))
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for (mapped, 6to4, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _networks(setting: str, text: str) -> tuple[Network, ...]:
    return tuple(_network(setting, one) for one in text.split(",") if one.strip())


def _network(setting: str, text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError as exc:
        raise ConfigurationError(f"HOOKBERG_{setting.upper()}: {exc}; write 10.1.0.0/16,192.168.7.4/32") from None
