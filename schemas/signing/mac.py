"""Keys and MACs: HMAC over the pieces of a message (RFC 2104), rendered as hex or base64.

Lives here: decoding a secret's text into a key, the digest, its text form, the constant-time comparison. Not here:
which bytes are signed (template.py) or where the signature stands (container.py).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from schemas.signing.scheme import Scheme
from schemas.signing.template import Bytes

_HASH = {"sha256": hashlib.sha256, "sha1": hashlib.sha1, "sha512": hashlib.sha512}


def key(scheme: Scheme, secret: bytes) -> bytes | None:
    """Decode a secret's text as the scheme says; None when it is empty or cannot be decoded (it never verifies)."""
    if not secret:
        return None
    try:
        if scheme.key == "base64":
            return base64.b64decode(secret + b"=" * (-len(secret) % 4), validate=True) or None
        if scheme.key == "hex":
            return binascii.unhexlify(secret) or None
    except (binascii.Error, ValueError):
        return None
    return secret


def digest(scheme: Scheme, made_key: bytes, pieces: Sequence[Bytes]) -> bytes:
    """Return the MAC of the pieces in turn."""
    if len(pieces) == 1:
        return hmac.digest(made_key, pieces[0], scheme.algorithm)
    mac = hmac.new(made_key, digestmod=_HASH[scheme.algorithm])
    for piece in pieces:
        mac.update(piece)
    return mac.digest()


def render(scheme: Scheme, made: bytes) -> bytes:
    """Write a MAC as the scheme's container holds it: lower-case hex or padded base64."""
    return made.hex().encode() if scheme.container.encoding == "hex" else base64.b64encode(made)


def equal(scheme: Scheme, expected: bytes, candidate: bytes) -> bool:
    """Compare texts in constant time, on bytes; hex is read in either case (RFC 4648 section 8)."""
    return hmac.compare_digest(expected, candidate.lower() if scheme.container.encoding == "hex" else candidate)
