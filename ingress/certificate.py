"""What a client certificate says of its owner, and who issued it (RFC 5280 sections 4.1 and 4.2.1.6).

Lives here: reading certificates, names and rules. Total on odd ones: what cannot be read names nobody. Not here: which
certificate a request comes with (mtls.py), the listener that asks for one (tls.py).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import NameOID, ObjectIdentifier

from schemas.definitions.auth_mtls import MtlsAuth

MAX_AUTHORITIES = 256
_UNREADABLE = (
    ValueError,
    TypeError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
_NAMES: Mapping[str, ObjectIdentifier] = {
    "emailAddress": NameOID.EMAIL_ADDRESS,
    "E": NameOID.EMAIL_ADDRESS,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "GN": NameOID.GIVEN_NAME,
    "SN": NameOID.SURNAME,
    "title": NameOID.TITLE,
}
"""Names that OpenSSL writes beside those of RFC 4514 section 3."""
Attributes = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a certificate names: the subject's (OID, value) pairs and its alternative names.

    `certificate` None: a proxy told the names and kept the certificate. `fingerprint`: of SHA-256, in hex.
    """

    subject: Attributes = frozenset()
    dns: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    fingerprint: str = ""
    certificate: x509.Certificate | None = field(default=None, repr=False)


@lru_cache(maxsize=1024)
def of_der(der: bytes) -> Identity | None:
    """Read a certificate; None when it cannot be read."""
    try:
        found = x509.load_der_x509_certificate(der)
        if found.serial_number <= 0:
            return None  # RFC 5280 section 4.1.2.2; the library warns of it, and says that it will refuse it too
        dns, uris, emails = _alternatives(found)
        found.issuer, found.not_valid_before_utc, found.not_valid_after_utc  # noqa: B018 each is read when asked for
        return Identity(_attributes(found.subject), dns, uris, emails, hashlib.sha256(der).hexdigest(), found)
    except _UNREADABLE:
        return None


@lru_cache(maxsize=1024)
def attributes(text: str) -> Attributes:
    """Read a subject as RFC 4514 writes it; raise ValueError when it is none, or an empty one."""
    try:
        found = _attributes(x509.Name.from_rfc4514_string(text, _NAMES))
    except ValueError:
        found = frozenset()
    if not found:
        raise ValueError(f"{text[:80]!r} is no subject as of RFC 4514, for example CN=hooks.example.com,O=Example")
    return found


@lru_cache(maxsize=256)
def authorities(pem: str) -> tuple[x509.Certificate, ...]:
    """Read a bundle of authorities; raise ValueError when it holds none, too many, or a certificate of no authority."""
    try:
        found = tuple(x509.load_pem_x509_certificates(pem.encode()))
        others = [each for each in found if not _is_authority(each)]
    except _UNREADABLE as exc:
        raise ValueError(f"the PEM cannot be read: {str(exc)[:120]}") from None
    if len(found) > MAX_AUTHORITIES:
        raise ValueError(f"a bundle holds at most {MAX_AUTHORITIES} certificates")
    if others:
        name = others[0].subject.rfc4514_string()[:80]
        raise ValueError(f"{name!r} is no authority (basicConstraints CA): give the one that issued the certificates")
    return found


def allows(rule: MtlsAuth, who: Identity) -> bool:
    """Tell whether a rule names the owner of a certificate: one entry of one of its lists is enough."""
    return (
        any(_has(who.subject, wanted) for wanted in rule.subjects)
        or any(_is_dns(wanted, name) for wanted in rule.dns_names for name in who.dns)
        or any(_is_uri(wanted, name) for wanted in rule.uris for name in who.uris)
        or any(_email(wanted) == _email(name) for wanted in rule.emails for name in who.emails)
    )


def is_valid_at(certificate: x509.Certificate, now_s: float) -> bool:
    """Tell whether a certificate's time covers `now_s`, epoch seconds."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begins.timestamp() <= now_s <= ends.timestamp()


def is_issued_by(certificate: x509.Certificate, known: tuple[x509.Certificate, ...], now_s: float) -> bool:
    """Tell whether one of the authorities, itself valid now, signed this very certificate."""
    issuer = _issuer(certificate, known)
    return issuer is not None and is_valid_at(issuer, now_s)


@lru_cache(maxsize=1024)
def _issuer(certificate: x509.Certificate, known: tuple[x509.Certificate, ...]) -> x509.Certificate | None:
    for authority in known:
        try:
            certificate.verify_directly_issued_by(authority)
        except (*_UNREADABLE, InvalidSignature):
            continue
        return authority
    return None


def _has(subject: Attributes, wanted: str) -> bool:
    try:
        return attributes(wanted) <= subject
    except ValueError:
        return False  # the API refuses such a rule; one that is there all the same names nobody


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _attributes(name: x509.Name) -> Attributes:
    return frozenset(
        (each.oid.dotted_string, each.value if isinstance(each.value, str) else each.value.hex()) for each in name
    )


def _alternatives(found: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), (), ()
    return (
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
        tuple(names.get_values_for_type(x509.RFC822Name)),
    )


def _is_dns(wanted: str, name: str) -> bool:
    """Compare without case (RFC 4343); `*.` of a rule stands for one label, of a certificate for none."""
    given = name.lower().rstrip(".")
    if not wanted.startswith("*."):
        return given == wanted
    label, _, rest = given.partition(".")
    return rest == wanted[2:] and label not in {"", "*"}


def _is_uri(wanted: str, name: str) -> bool:
    if wanted.endswith("/*"):
        return name.startswith(wanted[:-1]) and len(name) >= len(wanted)
    return name == wanted


def _email(address: str) -> tuple[str, str]:
    local, _, domain = address.rpartition("@")
    return local, domain.lower()
