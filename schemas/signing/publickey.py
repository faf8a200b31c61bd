"""Public-key signatures: Ed25519 (RFC 8032) and ECDSA P-256 over SHA-256 with DER signatures (FIPS 186-5).

Lives here: reading keys, verifying, signing. A source's secret is the vendor's public key; `signer` reads private ones
for our own sending. Total: a key or signature that cannot be read never verifies. Curves other than P-256 are refused.
"""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.signing.mac import unpadded
from schemas.signing.scheme import Scheme

ALGORITHMS = frozenset({"ed25519", "ecdsa-p256"})
_WHPK, _WHSK = b"whpk_", b"whsk_"
_ED25519_BYTES = 32
_UNREADABLE = (binascii.Error, ValueError, TypeError, UnsupportedAlgorithm)
PublicKey = Ed25519PublicKey | EllipticCurvePublicKey


@lru_cache(maxsize=1024)
def public(scheme: Scheme, secret: bytes) -> PublicKey | None:
    """Read a public key's text as the scheme says; None when it is none."""
    try:
        if scheme.algorithm == "ecdsa-p256":
            found = serialization.load_der_public_key(_der(secret))
            fits = isinstance(found, EllipticCurvePublicKey) and isinstance(found.curve, SECP256R1)
            return found if fits and isinstance(found, EllipticCurvePublicKey) else None
        raw = _raw(scheme, secret, _WHPK)
        return None if raw is None else Ed25519PublicKey.from_public_bytes(raw)
    except _UNREADABLE:
        return None


def verifies(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature's bytes are over the message."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, ECDSA(hashes.SHA256()))
    except (InvalidSignature, *_UNREADABLE):
        return False
    return True


def decode(scheme: Scheme, candidate: bytes) -> bytes | None:
    """Read a presented signature's text as hex or base64."""
    try:
        if scheme.container.encoding == "hex":
            return binascii.unhexlify(candidate)
        return base64.b64decode(candidate, validate=True)
    except (binascii.Error, ValueError):
        return None


def sign(scheme: Scheme, secret: bytes, message: bytes) -> bytes | None:
    """Sign with a private key's text: hex or `whsk_` seed (Ed25519), PKCS 8 as PEM or base64 DER (ECDSA, RFC 6979)."""
    try:
        if scheme.algorithm == "ecdsa-p256":
            found = serialization.load_der_private_key(_der(secret), None)
            if not isinstance(found, EllipticCurvePrivateKey):
                return None
            return found.sign(message, ECDSA(hashes.SHA256(), deterministic_signing=True))
        raw = _raw(scheme, secret, _WHSK)
        return None if raw is None else Ed25519PrivateKey.from_private_bytes(raw[:_ED25519_BYTES]).sign(message)
    except _UNREADABLE:
        return None


def _raw(scheme: Scheme, secret: bytes, prefix: bytes) -> bytes | None:
    if scheme.key == "whpk":
        return unpadded(secret[len(prefix) :]) if secret.startswith(prefix) else None
    return binascii.unhexlify(secret)


def _der(secret: bytes) -> bytes:
    """Return DER out of PEM or of base64 on one or many lines."""
    lines = [line.strip() for line in secret.splitlines() if not line.startswith(b"-----")]
    return unpadded(b"".join(lines))
