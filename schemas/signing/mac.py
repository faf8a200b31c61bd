"""Keys and MACs: HMAC over the pieces of a message (RFC 2104), rendered as hex or base64.

Lives here: decoding a secret's text into a key, the digest, its text form, the constant-time comparison. Not here:
which bytes are signed (template.py) or where the signature stands (container.py).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512
from cryptography.hazmat.primitives.hmac import HMAC

from schemas.signing.fields import Bytes
from schemas.signing.scheme import Scheme

_HASH = {"sha256": SHA256(), "sha1": SHA1(), "sha512": SHA512()}  # noqa: S303 SHA-1 is what some vendors sign with
_WHSEC = b"whsec_"


def key(scheme: Scheme, secret: bytes) -> bytes | None:  # noqa: PLR0911 one line for each kind
    """Decode a secret's text as the scheme says; None when it is empty or cannot be decoded (it never verifies).

    The text of a key pair (`whpk_…`, no base64) is never a MAC key: whoever knows the public half could sign with it.
    """
    if not secret:
        return None
    try:
        if scheme.key == "base64":
            return unpadded(secret) or None
        if scheme.key == "hex":
            return binascii.unhexlify(secret) or None
        if scheme.key in {"whsec", "whsec-only"}:
            named = secret.startswith(_WHSEC)
            if scheme.key == "whsec-only" and not named:
                return None
            return unpadded(secret[len(_WHSEC) :] if named else secret) or None
    except (binascii.Error, ValueError):
        return None
    return secret


def unpadded(text: bytes) -> bytes:
    """Decode base64 with or without its padding; raise `binascii.Error` for anything else."""
    return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)


def maker(scheme: Scheme, made_key: bytes) -> Callable[[Sequence[Bytes]], bytes]:
    """Return what makes the MAC of pieces in turn (for `token` the key itself); the key is set up once, here."""
    if scheme.algorithm == "token":
        return lambda _pieces: made_key
    if scheme.algorithm == "sha256concat":
        plain = hashlib.sha256(made_key)

        def concatenated(pieces: Sequence[Bytes]) -> bytes:
            running = plain.copy()
            for piece in pieces:
                running.update(piece)
            return running.digest()

        return concatenated
    keyed = HMAC(made_key, _HASH[scheme.algorithm])

    def made(pieces: Sequence[Bytes]) -> bytes:
        running = keyed.copy()
        for piece in pieces:
            running.update(piece)
        return running.finalize()

    return made


def digest(scheme: Scheme, made_key: bytes, pieces: Sequence[Bytes]) -> bytes:
    """Return the MAC of the pieces in turn; whoever makes many by one key keeps its `maker`."""
    return maker(scheme, made_key)(pieces)


def render(scheme: Scheme, made: bytes) -> bytes:
    """Write a MAC as the scheme's container holds it: lower-case hex or padded base64; a token as it is."""
    if scheme.algorithm == "token":
        return made
    return made.hex().encode() if scheme.container.encoding == "hex" else base64.b64encode(made)


def either_case(scheme: Scheme) -> bool:
    """Tell whether a presented signature is read in either case: hex is (RFC 4648 section 8), tokens are not."""
    return scheme.container.encoding == "hex" and scheme.algorithm != "token"


def equal(scheme: Scheme, expected: bytes, candidate: bytes) -> bool:
    """Compare texts in constant time, on bytes."""
    return hmac.compare_digest(expected, candidate.lower() if either_case(scheme) else candidate)
