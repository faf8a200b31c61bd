"""One secret made ready to be matched: its key decoded and set up, whatever the request.

Lives here: from a scheme and a secret's text to a function over the signed message and the presented signatures.
Comparisons are constant-time. Not here: which bytes are signed, which signatures were presented (engine.py).
"""

import hmac
from collections.abc import Callable, Sequence

from schemas.signing import mac, publickey
from schemas.signing.fields import Bytes
from schemas.signing.scheme import Scheme

Matcher = Callable[[Sequence[Bytes], Sequence[bytes]], bool]
"""Tells whether one of the presented signatures is this secret's over the message in pieces. Total."""


def matcher(scheme: Scheme, secret: bytes) -> Matcher | None:
    """Return the matcher of a secret; None when it cannot be used: empty, or no key of the scheme's kind."""
    if scheme.algorithm in publickey.ALGORITHMS:
        return _by_public_key(scheme, secret)
    made_key = mac.key(scheme, secret)
    if made_key is None:
        return None
    make = mac.maker(scheme, made_key)
    either_case = mac.either_case(scheme)

    def matches(pieces: Sequence[Bytes], candidates: Sequence[bytes]) -> bool:
        expected = mac.render(scheme, make(pieces))
        for candidate in candidates:
            if hmac.compare_digest(expected, candidate.lower() if either_case else candidate):
                return True
        return False

    return matches


def _by_public_key(scheme: Scheme, secret: bytes) -> Matcher | None:
    public = publickey.public(scheme, secret) if secret else None
    if public is None:
        return None

    def matches(pieces: Sequence[Bytes], candidates: Sequence[bytes]) -> bool:
        message = b"".join(pieces)
        decoded = (publickey.decode(scheme, candidate) for candidate in candidates)
        return any(one is not None and publickey.verifies(public, message, one) for one in decoded)

    return matches
