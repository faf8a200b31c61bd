"""The ingress' own TLS listener: its certificate, the authorities of its clients, both made anew when files change.

Lives here: TLS contexts and watching files. A connection takes the newest context when it begins (`wrap_bio`); those
that stand keep theirs, and mtls.py judges their certificates by what is believed now. Not here: which certificate
proves which source. Figures and why the handshake leaves revocation to us: README.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509

from ingress import certificate
from ingress.mtls import Trust
from schemas.errors import ConfigurationError
from schemas.logs import logger
from schemas.reasons import Reason
from schemas.settings.processes import IngressSettings

MAX_FILE = 4 << 20
MAX_WAITS = 2
"""Reads after a failed handshake, each of at most the event loop's buffer."""
_log = logger("ingress")
_EXPIRED = frozenset({9, 10})
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL."""
Note = Callable[[Reason, str], None]


@dataclass(frozen=True, slots=True)
class Files:
    """Where certificate (chain, PEM), key, clients' authorities and lists of revoked certificates stand."""

    certificate: Path
    key: Path
    authorities: Path | None = None
    revoked: Path | None = None

    @property
    def by_setting(self) -> Mapping[str, Path]:
        """Return the files that are given, by the setting that names each."""
        found = {"CERT": self.certificate, "KEY": self.key, "CLIENT_CA": self.authorities, "CLIENT_CRL": self.revoked}
        return {f"HOOKBERG_INGEST_TLS_{name}_FILE": path for name, path in found.items() if path is not None}


def files(settings: IngressSettings) -> Files:
    """Return the files of the listener; raise `ConfigurationError` when one is missing that it needs."""
    if settings.ingest_tls_cert_file is None or settings.ingest_tls_key_file is None:
        raise ConfigurationError(
            "HOOKBERG_INGEST_TLS_PORT needs HOOKBERG_INGEST_TLS_CERT_FILE and HOOKBERG_INGEST_TLS_KEY_FILE"
        )
    if settings.ingest_tls_client_crl_file is not None and settings.ingest_tls_client_ca_file is None:
        raise ConfigurationError("HOOKBERG_INGEST_TLS_CLIENT_CRL_FILE needs HOOKBERG_INGEST_TLS_CLIENT_CA_FILE")
    return Files(
        settings.ingest_tls_cert_file,
        settings.ingest_tls_key_file,
        settings.ingest_tls_client_ca_file,
        settings.ingest_tls_client_crl_file,
    )


class _Handshake(ssl.SSLObject):
    """One connection's TLS; tells why a handshake failed, to us and to the client.

    Event loops drop a connection whose handshake fails with the alert (RFC 8446 section 6.2) still unsent: they send
    what waits only when the handshake wants to read. So it does, a bounded number of times; most clients hang up at the
    alert, the others meet the time limit of handshakes.
    """

    _fault: ssl.SSLError | None = None
    _waits = 0

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        if self._fault is None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as exc:
                self._fault = exc
                context = self.context
                if isinstance(context, _Context):
                    context.listener.note(_reason(exc), _words(exc))
            else:
                return
        self._waits += 1
        if self._waits > MAX_WAITS:
            raise self._fault
        raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the alert is on its way")


class _Context(ssl.SSLContext):
    """The context of one state of the files; `digest` is that of its authorities."""

    sslobject_class = _Handshake
    listener: "Listener"
    digest: bytes


class Listener(ssl.SSLContext):
    """What the socket is served with: hands each new connection to the newest context. Implements mtls.Listener.

    `note` is told why a handshake failed.
    """

    note: Note
    _files: Files
    _current: _Context
    _trust: Trust
    _digest: bytes

    @classmethod
    def open(cls, where: Files) -> "Listener":
        """Read the files. Blocking; raises `ConfigurationError`."""
        made = cls(ssl.PROTOCOL_TLS_SERVER)
        made.note = _unheard
        made._files = where
        made._digest = b""
        made.reload()
        return made

    @property
    def trust(self) -> Trust:
        """Return what is believed now."""
        return self._trust

    def is_current(self, context: object) -> bool:
        """Tell whether the authorities are those of this context."""
        return isinstance(context, _Context) and context.digest == self._current.digest

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:  # noqa: ANN401 as of ssl.SSLContext
        """Begin a connection with the newest context; called by the event loop."""
        return self._current.wrap_bio(*args, **kwargs)

    def reload(self) -> bool:
        """Read the files again; True when they had changed. Blocking.

        Raises `ConfigurationError` when they cannot be used: what was read before stays in force.
        """
        contents = {name: _read(name, path) for name, path in self._files.by_setting.items()}
        digest = hashlib.sha256(b"".join(hashlib.sha256(each).digest() for each in contents.values())).digest()
        if digest == self._digest:
            return False
        self._digest = digest
        trust, context = _make(self._files, contents)
        context.listener = self
        self._trust, self._current = trust, context
        return True

    async def watch(self, every_s: float) -> None:
        """Reload for ever; files that cannot be used are logged, each fault once, and change nothing."""
        fault = ""
        while True:
            await asyncio.sleep(every_s)
            try:
                changed = await asyncio.to_thread(self.reload)
            except ConfigurationError as exc:
                if str(exc) != fault:
                    fault = str(exc)
                    _log.error("tls_not_reloaded", error=fault[:500])
                continue
            if changed:
                fault = ""
                _log.info("tls_reloaded", authorities=len(self._trust.authorities), revoked=_count(self._trust))


def _make(where: Files, contents: Mapping[str, bytes]) -> tuple[Trust, _Context]:
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    pair = "HOOKBERG_INGEST_TLS_CERT_FILE, HOOKBERG_INGEST_TLS_KEY_FILE"
    try:
        context.load_cert_chain(where.certificate, where.key, password=_no_password)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{pair}: {_words(exc)}: give a PEM chain and its key, not encrypted") from None
    context.digest = b""
    if where.authorities is None:
        return Trust(), context
    name = "HOOKBERG_INGEST_TLS_CLIENT_CA_FILE"
    text = contents[name].decode("utf-8", "replace")
    try:
        known = certificate.authorities(text)
        context.load_verify_locations(cadata=text)
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{name}: {_words(exc)}") from None
    context.digest = hashlib.sha256(contents[name]).digest()
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    lists = contents.get("HOOKBERG_INGEST_TLS_CLIENT_CRL_FILE")
    return (Trust(known) if lists is None else _revoked(known, lists)), context


def _revoked(known: tuple[x509.Certificate, ...], text: bytes) -> Trust:
    """Read lists of revoked certificates (RFC 5280 section 5), each signed by the authority that it names.

    One of an authority that is not trusted (any more) is left out and logged: nobody comes in by it.
    """
    name = "HOOKBERG_INGEST_TLS_CLIENT_CRL_FILE"
    end = b"-----END X509 CRL-----"
    found: dict[x509.Name, frozenset[int]] = {}
    until: list[float] = []
    read = 0
    for part in text.split(end)[:-1]:
        try:
            each = x509.load_pem_x509_crl(part + end)
            named = [one for one in known if one.subject == each.issuer]
            signed = any(each.is_signature_valid(_key(one)) for one in named)
            serials = frozenset(entry.serial_number for entry in each)
        except (ValueError, TypeError) as exc:
            raise ConfigurationError(f"{name}: {_words(exc)}") from None
        read += 1
        whose = each.issuer.rfc4514_string()[:80]
        if not named:
            _log.warning("tls_list_left_out", issuer=whose)
            continue
        if not signed:
            raise ConfigurationError(f"{name}: the authority {whose!r} did not sign its list")
        found[each.issuer] = found.get(each.issuer, frozenset()) | serials
        if each.next_update_utc is not None:
            until.append(each.next_update_utc.timestamp())
    if not read:
        raise ConfigurationError(f"{name}: the file holds no list: X509 CRL in PEM")
    return Trust(known, found, min(until, default=None))


def _key(one: x509.Certificate) -> Any:  # noqa: ANN401 is_signature_valid takes issuers' kinds of keys and refuses others
    return one.public_key()


def _read(name: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(MAX_FILE + 1)
    except OSError as exc:
        raise ConfigurationError(f"{name}={path}: {exc.strerror}") from None
    if len(found) > MAX_FILE:
        raise ConfigurationError(f"{name}={path}: larger than {MAX_FILE} bytes")
    return found


def _unheard(_reason: Reason, _words: str) -> None:
    """Hear nothing: who serves the listener sets its own."""


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _count(trust: Trust) -> int:
    return sum(map(len, trust.revoked.values()))


def _reason(exc: ssl.SSLError) -> Reason:
    if not isinstance(exc, ssl.SSLCertVerificationError):
        return Reason.BAD_REQUEST
    return Reason.CERTIFICATE_EXPIRED if exc.verify_code in _EXPIRED else Reason.CERTIFICATE_UNTRUSTED


def _words(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return exc.verify_message
    if isinstance(exc, ssl.SSLError):
        return str(exc.reason or exc)[:120]
    return str(exc)[:200]
