"""Authorities and certificates of the tests, made with the same library that reads them; P-256, a moment each."""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def write(self, folder: Path, name: str, chain: Iterable["Held"] = ()) -> tuple[Path, Path]:
        """Write NAME.pem (with the chain) and NAME.key; return both."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_text("".join(each.pem for each in (self, *chain)))
        key.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, key


def authority(name: str = "Test Root", by: Held | None = None, *, ends: dt.timedelta = 3650 * DAY) -> Held:
    """Make an authority, its own or an intermediate of another."""
    return _make(_name(name), by, ends=ends, ca=True)


def issued(
    by: Held,
    subject: str = "hooks.vendor.example",
    *,
    dns: Iterable[str] = (),
    uris: Iterable[str] = (),
    emails: Iterable[str] = (),
    begins: dt.timedelta = -DAY,
    ends: dt.timedelta = DAY,
    server: bool = False,
) -> Held:
    """Make a certificate; `subject` is a common name, or a whole one as of RFC 4514; times from now on."""
    name = x509.Name.from_rfc4514_string(subject) if "=" in subject else _name(subject)
    names: list[x509.GeneralName] = [x509.DNSName(each) for each in dns]
    names += [x509.UniformResourceIdentifier(each) for each in uris]
    names += [x509.RFC822Name(each) for each in emails]
    if server:
        names += [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return _make(name, by, begins=begins, ends=ends, names=names, server=server)


def revocations(by: Held, revoked: Iterable[Held], *, until: dt.timedelta = DAY) -> str:
    """Return an authority's list of revoked certificates, PEM."""
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=by.certificate.subject, last_update=now - 2 * DAY, next_update=now + until
    )
    for each in revoked:
        entry = x509.RevokedCertificateBuilder(each.certificate.serial_number, now - DAY)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _make(
    name: x509.Name,
    by: Held | None,
    *,
    begins: dt.timedelta = -2 * DAY,
    ends: dt.timedelta,
    ca: bool = False,
    names: Iterable[x509.GeneralName] = (),
    server: bool = False,
) -> Held:
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    signer = key if by is None else by.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not ca:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if given := list(names):
        builder = builder.add_extension(x509.SubjectAlternativeName(given), critical=False)
    return Held(builder.sign(signer, hashes.SHA256()), key)
