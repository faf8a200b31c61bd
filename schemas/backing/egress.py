"""Outgoing HTTP to addresses that users name: the guard against server-side request forgery, and one bounded GET.

Lives here: which URLs and addresses may be called, resolving once and connecting to what was checked. Implements
ports.Egress. Not here: what is fetched. The attacks: https://cheatsheetseries.owasp.org (Server-Side Request Forgery).
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from schemas.errors import ConfigurationError, Transient
from schemas.settings.processes import EgressSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
_OK = 200
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS = {"https": 443, "http": 80}
_CHUNK = 1 << 14
_LOOK_UPS = 4
_NAME = re.compile(
    r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True)
class Guard:
    """What may be called: https only and public addresses only, but for what the operator allows."""

    allow_http: bool = False
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, given: EgressSettings) -> "Guard":
        """Read the settings; raise `ConfigurationError` when a network cannot be read."""
        return cls(
            given.egress_allow_http, tuple(_network(one) for one in given.egress_networks.split(",") if one.strip())
        )

    def refusal(self, url: str) -> str | None:
        """Say why a URL is not called, as far as its text tells; None when nothing speaks against it."""
        try:
            parts = _split(url)
        except ValueError as exc:
            return str(exc)
        if parts.scheme == "http" and not self.allow_http:
            return "use https: the setting egress_allow_http is off"
        try:
            literal = ipaddress.ip_address(parts.hostname or "")
        except ValueError:
            return None
        return None if self.allows(literal) else _forbidden(str(literal))

    def allows(self, address: Address) -> bool:
        """Tell whether an address may be connected to; an IPv4 address inside an IPv6 one counts as what it is."""
        inner = _inner(address)
        if any(inner.version == net.version and inner in net for net in self.networks):
            return True
        old = isinstance(inner, ipaddress.IPv6Address) and inner.is_site_local
        return inner.is_global and not (inner.is_multicast or inner.is_reserved or old)


class HttpEgress:
    """Gets small documents from addresses that were checked. `resolve(host, port)` returns texts of addresses."""

    def __init__(
        self, guard: Guard, *, timeout_s: float, tls: ssl.SSLContext | None = None, resolve: Resolve | None = None
    ) -> None:
        self.guard = guard
        self._timeout_s = timeout_s
        self._tls = tls or ssl.create_default_context()
        self._threads = ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="egress-names")
        self._resolve = resolve or self._resolved

    @classmethod
    def of(cls, given: EgressSettings) -> "HttpEgress":
        """Make it as the settings say; raise `ConfigurationError` when the CA file cannot be used."""
        try:
            tls = ssl.create_default_context()
            if given.egress_ca_file is not None:
                tls.load_verify_locations(Path(given.egress_ca_file))
        except (OSError, ssl.SSLError) as exc:
            raise ConfigurationError(f"HOOKBERG_EGRESS_CA_FILE={given.egress_ca_file}: {exc}") from None
        return cls(Guard.of(given), timeout_s=given.egress_timeout_s, tls=tls)

    async def get(self, url: str, *, limit_bytes: int) -> bytes:
        """Return the body of a 200; raise `Transient` in words that say what to do, within `egress_timeout_s`.

        No redirect is followed, no proxy used, no cookie kept; the name is resolved once and every address checked.
        """
        refused = self.guard.refusal(url)
        if refused is not None:
            raise Transient(refused)
        parts = _split(url)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._get(url, await self._addresses(parts), limit_bytes)
        except TimeoutError:
            raise Transient(f"{parts.hostname} gave no answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientConnectorCertificateError as exc:
            raise Transient(
                f"the certificate of {parts.hostname} is not trusted ({exc.certificate_error}): name a private "
                "authority in the setting egress_ca_file"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise Transient(f"{parts.hostname} cannot be read: {type(exc).__name__}: {str(exc)[:200]}") from None

    async def _addresses(self, parts: SplitResult) -> tuple[str, ...]:
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        try:
            found = tuple(dict.fromkeys(await self._resolve(host, port)))
        except (OSError, UnicodeError) as exc:
            raise Transient(f"the name {host} cannot be resolved: {exc}") from None
        if not found:
            raise Transient(f"the name {host} has no address")
        for one in found:
            if not self.guard.allows(ipaddress.ip_address(one)):
                raise Transient(_forbidden(f"{host} ({one})"))
        return found

    async def _resolved(self, host: str, port: int) -> Sequence[str]:
        """Look a name up in threads of its own: a look-up outlives its deadline, and others have work for theirs."""
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [str(info[4][0]) for info in found]

    async def _get(self, url: str, addresses: tuple[str, ...], limit_bytes: int) -> bytes:
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(addresses), ssl=self._tls, use_dns_cache=False, force_close=True, limit=1
        )
        async with (
            aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, auto_decompress=False
            ) as session,
            session.get(
                url,
                allow_redirects=False,
                headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "hookberg"},
            ) as answer,
        ):
            if answer.status != _OK:
                more = "; redirects are not followed: name the address itself" if 300 <= answer.status < 400 else ""  # noqa: PLR2004
                raise Transient(f"{answer.url.host} answered {answer.status} instead of 200{more}")
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise Transient(f"{answer.url.host} compressed its answer, though it was asked not to")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > limit_bytes:
                    raise Transient(f"{answer.url.host} sent more than {limit_bytes} bytes")
            return bytes(body)


class _Pinned(AbstractResolver):
    """Answers with the addresses that were checked, so that no second look-up can give another."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 aiohttp's signature
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=one,
                port=port,
                family=socket.AF_INET6 if ":" in one else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _split(url: str) -> SplitResult:
    """Take a URL apart; raise ValueError for one that two readers might take for different hosts."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("the URL must be https://host/path")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("the URL must have no user, password or fragment")
    if not url.isascii() or any(character <= " " or character == "\\" for character in url):
        raise ValueError("the URL must be ASCII, without spaces and backslashes")
    if parts.port == 0:
        raise ValueError("the URL's port must be 1 to 65535")
    if not _NAME.fullmatch(parts.hostname) and not _is_address(parts.hostname):
        raise ValueError("the URL's host must be a DNS name, or an address in its usual form")
    return parts


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


def _forbidden(what: str) -> str:
    return f"{what} is no public address: calls into private networks are refused unless egress_networks names them"


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError as exc:
        raise ConfigurationError(f"HOOKBERG_EGRESS_NETWORKS: {exc}; write 10.1.0.0/16,192.168.7.4/32") from None
