"""Issuers of tokens, written from RFC 7515 to 7519 with `cryptography` alone: keys, key sets, tokens right and wrong.

Lives here: how a token is made. Not here: what may go wrong (token_cases.py). Nothing of schemas/signing or PyJWT is
imported: two mistakes must agree before a test is fooled.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

NOW = 1_750_000_000
JWKS_URL = "https://issuer.example.com/keys"
BODY = '{"id":"evt_1","type":"message","serviceUrl":"https://smba.example/","channelId":"msteams","t":"caf\u00e9"}'.encode()
HASHES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
CURVES = {
    "ES256": ("P-256", ec.SECP256R1(), 32),
    "ES384": ("P-384", ec.SECP384R1(), 48),
    "ES512": ("P-521", ec.SECP521R1(), 66),
}
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | bytes


def b64(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int | None = None) -> str:
    """Return an integer as a JSON Web Key holds it (RFC 7518 section 6)."""
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Make an RSA key once a run; `name` tells keys apart."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def private(algorithm: str, name: str) -> Private:
    """Return the key of a name that fits an algorithm."""
    if algorithm.startswith("HS"):
        return hashlib.sha512(name.encode()).hexdigest().encode()
    if algorithm in CURVES:
        return ec.derive_private_key(int.from_bytes(hashlib.sha256(name.encode()).digest()), CURVES[algorithm][1])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    return rsa_key(name)


def pem(key: Private) -> str:
    """Return the public half as PEM."""
    assert not isinstance(key, bytes)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()


def public(key: Private, kid: str | None, **more: Any) -> dict[str, Any]:
    """Return the public half as a JSON Web Key."""
    named = {} if kid is None else {"kid": kid}
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "use": "sig", "n": number(numbers.n), "e": number(numbers.e), **named, **more}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        name, _, size = next(one for one in CURVES.values() if one[1].name == key.curve.name)
        return {"kty": "EC", "crv": name, "x": number(point.x, size), "y": number(point.y, size), **named, **more}
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw()), **named, **more}


def signature(algorithm: str, key: Private, message: bytes) -> bytes:
    """Sign as RFC 7518 section 3 says."""
    if isinstance(key, bytes):
        return hmac.digest(key, message, f"sha{algorithm[2:]}")
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    digest = HASHES[algorithm[2:]]()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = CURVES[algorithm][2]
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if algorithm.startswith("PS"):
        return key.sign(message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    return key.sign(message, padding.PKCS1v15(), digest)


def token(head: Mapping[str, Any], claims: Mapping[str, Any] | bytes, key: Private) -> str:
    """Return a token in its compact form; its own `alg` says how it is signed."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    begin = f"{b64(json.dumps(head).encode())}.{b64(payload)}"
    return f"{begin}.{b64(signature(str(head['alg']), key, begin.encode()))}"


@dataclass(frozen=True)
class Issuer:
    """Somebody who makes tokens, and what a source says of him; `more` is further auth."""

    name: str
    algorithm: str
    platform: str = "shop"
    issuer: str = "https://issuer.example.com/"
    audience: str = "api://hooks"
    leeway: int = 60
    claims: Mapping[str, Any] = field(default_factory=dict)
    endorsements: tuple[str, ...] | None = None
    coverage: str = "none"
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shared(self) -> bool:
        return self.algorithm.startswith("HS")

    def key(self, name: str = "one") -> Private:
        return private(self.algorithm, name)

    def auth(self, **changed: Any) -> dict[str, Any]:
        """Return the auth of a source that takes these tokens."""
        if self.platform == "teams":
            return {"type": "teams", "audience": self.audience, **changed}
        place = {} if self.shared else {"jwksUrl": JWKS_URL}
        said = {"type": "jwt", "issuer": self.issuer, "audience": self.audience, "algorithms": [self.algorithm]}
        return {**said, "leewaySeconds": self.leeway, **place, **self.more, **changed}

    def jwk(self, name: str = "one", **more: Any) -> dict[str, Any]:
        """Return a public key of the set."""
        endorsed = {} if self.endorsements is None else {"endorsements": list(self.endorsements)}
        return public(self.key(name), f"kid-{name}", **endorsed, **more)

    def said(self, now: int = NOW, **changed: Any) -> dict[str, Any]:
        """Return the claims of a token made at `now`; None takes a claim away."""
        usual = {"iss": self.issuer, "aud": self.audience, "nbf": now, "iat": now, "exp": now + 3600, **self.claims}
        return {name: value for name, value in {**usual, **changed}.items() if value is not None}

    def make(self, now: int = NOW, *, key: str = "one", head: Mapping[str, Any] | None = None, **changed: Any) -> str:
        """Make a token at `now`."""
        start = {"alg": self.algorithm, "typ": "JWT"} | ({} if self.shared else {"kid": f"kid-{key}"})
        return token({**start, **(head or {})}, self.said(now, **changed), self.key(key))


TEAMS = Issuer(
    "teams",
    "RS256",
    platform="teams",
    issuer="https://api.botframework.com",
    audience="00000000-1111-2222-3333-444444444444",
    leeway=300,
    claims={"serviceurl": "https://smba.example/"},
    endorsements=("msteams", "skype"),
)
HASHED = Issuer(
    "jwt-body-hash",
    "ES256",
    coverage="full",
    claims={"request_body_sha256": hashlib.sha256(BODY).hexdigest()},
    more={"bodyHashClaim": "request_body_sha256"},
)
ENTRA = Issuer(
    "entra-id",
    "RS256",
    platform="eventgrid",
    issuer="https://sts.windows.net/72f988bf-0000-0000-0000-000000000000/",
    claims={"appid": "4962773b-9cdb-44cf-a8bf-237846a00ab7", "roles": ["AzureEventGridSecureWebhookSubscriber"]},
    more={
        "requiredClaims": {
            "appid": "4962773b-9cdb-44cf-a8bf-237846a00ab7",
            "roles": "AzureEventGridSecureWebhookSubscriber",
        }
    },
)
ISSUERS = (
    *(
        Issuer(f"jwt-{algorithm.lower()}", algorithm)
        for algorithm in ("RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS512")
    ),
    HASHED,
    ENTRA,
    TEAMS,
)
