"""The way out: what is fetched (key sets) and what is posted (outbound webhooks), through one guard.

Lives here: how a call is put together from guard, names, TLS and deadline. Implements ports.Egress. Who may be called:
guard.py. https://cheatsheetseries.owasp.org (Server-Side Request Forgery)
"""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from schemas.backing.egress.get import fetch
from schemas.backing.egress.guard import Guard, port_of, split
from schemas.backing.egress.names import LOOK_UPS, Names, Resolve
from schemas.backing.egress.pool import KEEPING, Keeping, Pool
from schemas.backing.egress.post import Posted, Poster
from schemas.errors import ConfigurationError, Transient
from schemas.settings.notify import DeliverySettings, EndpointSettings
from schemas.settings.processes import EgressSettings

_TIMEOUT_S = 10.0
_MANY_LOOK_UPS = 32
"""Threads for look-ups of webhooks' names: one that hangs keeps one of them."""


class HttpEgress:
    """Calls addresses that were checked. `resolve(host, port)` returns texts of addresses."""

    def __init__(
        self,
        guard: Guard,
        *,
        timeout_s: float = _TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        look_ups: int = LOOK_UPS,
        ca_setting: str = "egress_ca_file",
        keeping: Keeping = KEEPING,
    ) -> None:
        self.guard = guard
        self._timeout_s = timeout_s
        self._tls = tls or ssl.create_default_context()
        self._names = Names(guard, resolve, threads=look_ups)
        self.pool = Pool(self._names.addresses, self._tls, keeping)
        self._poster = Poster(guard, self.pool, ca_setting)

    @classmethod
    def of(cls, given: EgressSettings) -> "HttpEgress":
        """Make it as the settings of what is fetched say; raise `ConfigurationError` when they cannot be used."""
        return cls(
            Guard.of(given), timeout_s=given.egress_timeout_s, tls=_trusting("egress_ca_file", given.egress_ca_file)
        )

    @classmethod
    def for_webhooks(cls, endpoints: EndpointSettings, delivery: DeliverySettings) -> "HttpEgress":
        """Make it as the settings of outbound webhooks say; raise `ConfigurationError` when they cannot be used."""
        return cls(
            Guard.for_webhooks(endpoints),
            tls=_trusting("notify_ca_file", delivery.notify_ca_file),
            look_ups=_MANY_LOOK_UPS,
            ca_setting="notify_ca_file",
        )

    async def get(self, url: str, *, limit_bytes: int) -> bytes:
        """Return the body of a 200; raise `Transient` in words that say what to do, within `timeout_s`.

        No redirect is followed, no proxy used, no cookie kept; the name is resolved once and every address checked.
        """
        refused = self.guard.refusal(url)
        if refused is not None:
            raise Transient(refused)
        parts = split(url)
        host = parts.hostname or ""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await fetch(url, await self._names.addresses(host, port_of(parts)), self._tls, limit_bytes)
        except TimeoutError:
            raise Transient(f"{host} gave no answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientConnectorCertificateError as exc:
            raise Transient(
                f"the certificate of {host} is not trusted ({exc.certificate_error}): name a private "
                "authority in the setting egress_ca_file"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise Transient(f"{host} cannot be read: {type(exc).__name__}: {str(exc)[:200]}") from None

    async def post(
        self, url: str, *, headers: Sequence[tuple[str, str]], body: bytes, timeout_s: float, limit_bytes: int
    ) -> Posted:
        """Post a body once and return what it came to, within `timeout_s`; never raises but when it is cancelled.

        Guarded as `get` is. `limit_bytes` of the answer's body are kept; the connection of a longer one is closed.
        """
        return await self._poster.post(url, tuple(headers), body, timeout_s, limit_bytes)

    async def close(self) -> None:
        """Close the connections that are kept; calls that go on end as they will."""
        await self.pool.close()
        self._names.close()


def _trusting(setting: str, ca_file: Path | None) -> ssl.SSLContext:
    """Return what trusts the public authorities, and a private one when the setting names its file."""
    try:
        tls = ssl.create_default_context()
        if ca_file is not None:
            tls.load_verify_locations(Path(ca_file))
    except (OSError, ssl.SSLError) as exc:
        raise ConfigurationError(f"HOOKBERG_{setting.upper()}={ca_file}: {exc}") from None
    return tls
