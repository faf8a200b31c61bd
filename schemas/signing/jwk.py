"""Keys that tokens are checked with: JSON Web Keys (RFC 7517), PEM, shared secrets.

Lives here: reading keys, and which algorithms each may be used with; that a public key is never a MAC key follows from
it. Not here: fetching key sets (ingress/jwks.py), checking tokens (jwt.py). Strength: RFC 7518 sections 3.2 to 3.5.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
SHARED = ("HS256", "HS384", "HS512")
CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
ALGORITHMS = (*RSA, *CURVES.values(), "EdDSA", *SHARED)
"""Every algorithm that a source may allow; there is no `none` to be allowed."""
MAX_KEYS = 64
MAX_TEXT = 8192
MAX_KID = 256
_RSA_BITS = range(2048, 8193)
_SHORTEST = {"HS256": 32, "HS384": 48, "HS512": 64}
_MEMBERS = ("kty", "kid", "use", "alg", "crv", "n", "e", "x", "y")
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)
_UNREADABLE = (PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm)
PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One key: what it may be used with, and what records call it (`id`); `kid` None fits any token.

    `endorsements`: what the issuer says that the key may speak for (Bot Framework); None = nothing is said.
    """

    id: str
    kid: str | None
    algorithms: frozenset[str]
    material: PublicKey | bytes = field(repr=False)
    endorsements: frozenset[str] | None = None


def from_jwk(jwk: Mapping[str, Any]) -> TokenKey:
    """Read a public JSON Web Key; raise ValueError with what is wrong with it, never quoting it. Null is not said."""
    jwk = {name: value for name, value in jwk.items() if value is not None}
    if "d" in jwk or jwk.get("kty") == "oct":
        raise ValueError("this is a private or shared key: give the public one (shared keys go into `secrets`)")
    operations = jwk.get("key_ops")
    if jwk.get("use", "sig") != "sig" or (isinstance(operations, list) and "verify" not in operations):
        raise ValueError("this key is not for signatures: its use is not `sig`")
    kid = jwk.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID):
        raise ValueError(f"kid must be a text of at most {MAX_KID} characters")
    members = {name: jwk[name] for name in _MEMBERS if name in jwk and name not in {"alg", "use"}}
    if any(not isinstance(value, str) or len(value) > MAX_TEXT for value in members.values()):
        raise ValueError("the members of a key are texts")
    try:
        made = PyJWK.from_dict(members).key
    except _UNREADABLE:
        raise ValueError("the key cannot be read: an RSA, EC (P-256, P-384, P-521) or Ed25519 key is needed") from None
    found = _key(made, kid)
    said = jwk.get("alg")
    if said is not None:
        found = TokenKey(found.id, kid, found.algorithms & {str(said)}, found.material)
    if not found.algorithms:
        raise ValueError("the key's alg is none of: " + ", ".join((*RSA, *CURVES.values(), "EdDSA")))
    endorsed = jwk.get("endorsements")
    if not isinstance(endorsed, list):
        return found
    names = frozenset(name for name in endorsed if isinstance(name, str))
    return TokenKey(found.id, kid, found.algorithms, found.material, names)


def from_pem(text: str) -> TokenKey:
    """Read a public key in PEM (SubjectPublicKeyInfo); raise ValueError with what is wrong with it."""
    if "PRIVATE KEY" in text:
        raise ValueError("this is a private key: give the public one, and make a new pair, for this one was sent")
    try:
        made = serialization.load_pem_public_key(text.encode("ascii"))
    except _UNREADABLE:
        raise ValueError(
            "the text is no public key in PEM: -----BEGIN PUBLIC KEY----- is what it begins with"
        ) from None
    return _key(made, None)


def from_secret(secret_id: str, value: bytes) -> TokenKey | None:
    """Read a shared secret; None when it is too short for every algorithm, or is a public key's text."""
    if weakness(value, SHARED[0]) is not None:
        return None
    fits = frozenset(name for name in SHARED if len(value) >= _SHORTEST[name])
    return TokenKey(secret_id, None, fits, value)


def weakness(value: bytes, algorithm: str) -> str | None:
    """Say why a shared secret must not be used with an algorithm; None when it may be."""
    if b"-----BEGIN" in value or value.lstrip().startswith((b"ssh-", b'{"')):
        return "this is a key's text and no shared secret: put public keys into `keys`"
    if len(value) < _SHORTEST[algorithm]:
        return f"{algorithm} needs a secret of at least {_SHORTEST[algorithm]} bytes"
    return None


def from_set(document: object) -> tuple[TokenKey, ...]:
    """Read a JSON Web Key Set; keys that cannot be used are left out, () when none can. Raise ValueError for no set."""
    given = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(given, list):
        raise ValueError("the document is no key set: it has no array `keys`")  # noqa: TRY004 one fault
    if len(given) > MAX_KEYS:
        raise ValueError(f"the key set holds {len(given)} keys, more than {MAX_KEYS}")
    found = []
    for one in given:
        try:
            found.append(from_jwk(one))
        except (ValueError, AttributeError, TypeError):
            continue
    return tuple(found)


def _key(made: object, kid: str | None) -> TokenKey:
    if isinstance(made, RSAPublicKey):
        if made.key_size not in _RSA_BITS:
            raise ValueError(f"an RSA key has {_RSA_BITS.start} to {_RSA_BITS.stop - 1} bits, this one {made.key_size}")
        return TokenKey(_name(made, kid), kid, frozenset(RSA), made)
    if isinstance(made, EllipticCurvePublicKey) and made.curve.name in CURVES:
        return TokenKey(_name(made, kid), kid, frozenset({CURVES[made.curve.name]}), made)
    if isinstance(made, Ed25519PublicKey):
        return TokenKey(_name(made, kid), kid, frozenset({"EdDSA"}), made)
    raise ValueError("a key of this kind is not taken: use RSA, EC (P-256, P-384, P-521) or Ed25519")


def _name(made: PublicKey, kid: str | None) -> str:
    """Return the key's id where it is short and plain, else the begin of its fingerprint."""
    if kid is not None and _PRINTABLE.fullmatch(kid):
        return kid
    der = made.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(der).hexdigest()[:32]}"
