"""Verify never raises, never accepts what was not signed, and accepts what its twin signed."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.definitions.auth_free import ApiKeyAuth, BearerAuth
from schemas.reasons import Reason
from schemas.signing import Container, Freshness, Invalid, Scheme, SignedRequest, Valid, sign, verify, verify_any
from schemas.signing.urls import parameter, variants
from schemas.vendors import VENDORS

NOW = 1_750_000_000.0
OTHERS = {
    "url": Scheme("url", "sha1", "{method} {url}{body}", Container("bare", "X-Sig", encoding="base64"), key="hex"),
    "ms": Scheme(
        "ms",
        "sha512",
        "{p.ts}:{body}",
        Container("kv", "X-Sig", tag="h1", timestamp="ts", separator=";"),
        freshness=Freshness("param", "ts", unit="ms", past_s=5, future_s=5),
    ),
    "bearer": BearerAuth(type="bearer").scheme,
    "apiKey": ApiKeyAuth(type="apiKey", header="X-Key", prefix="Token ").scheme,
}
SCHEMES = [*{one.name: one for vendor in VENDORS.values() for one in vendor.schemes}.values(), *OTHERS.values()]
TWINS = [one for one in SCHEMES if one.items is None and one.container.kind != "query"]
PROOFS = [one for one in TWINS if one.algorithm != "token" and "{params}" not in one.message]
"""Schemes in which every byte of the body counts."""
SEED = bytes(range(32))
ED = ed25519.Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
EC = ec.derive_private_key(11, ec.SECP256R1())
PRIVATE = EC.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
PUBLIC = EC.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
SECRETS: dict[str, tuple[bytes, bytes]] = {
    "utf8": (b"plain", b"plain"),
    "base64": (b"c2VjcmV0IGtleQ==", b"c2VjcmV0IGtleQ=="),
    "hex": (b"00ff10", b"00ff10"),
    "whsec": (b"whsec_c2VjcmV0IGtleQ", b"whsec_c2VjcmV0IGtleQ"),
    "whsec-only": (b"whsec_c2VjcmV0IGtleQ", b"whsec_c2VjcmV0IGtleQ"),
    "whpk": (b"whsk_" + base64.b64encode(SEED + ED), b"whpk_" + base64.b64encode(ED)),
    "spki": (base64.b64encode(PRIVATE), base64.b64encode(PUBLIC)),
}
"""By kind of key: what the sender signs with, what the receiver holds."""
FIXED = (("webhook-id", "msg_1"), ("svix-id", "msg_1"), ("Content-Type", "application/x-www-form-urlencoded"))
URL = "https://hooks.example.com/a?b=%20c"

places = sorted({one.container.header for one in SCHEMES} | {one.freshness.name for one in SCHEMES if one.freshness})
names = st.one_of(
    st.sampled_from([*places, "webhook-id", "svix-id", "X-HubSpot-Signature-Version"]), st.text(max_size=20)
)
hexes = st.text("0123456789abcdef", min_size=38, max_size=130)
b64s = st.binary(min_size=18, max_size=70).map(lambda raw: base64.b64encode(raw).decode())
near = st.integers(int(NOW) - 400, int(NOW) + 400)
likely = st.one_of(
    st.text(max_size=200),
    hexes,
    b64s,
    st.builds(
        "{}{}".format,
        st.sampled_from(["sha256=", "sha1=", "v0=", "v1=", "v1,", "v1a,", "HMAC ", "Bearer "]),
        hexes | b64s,
    ),
    st.builds("t={},v1={}".format, near, hexes),
    st.builds("ts={};h1={}".format, near, hexes),
    near.map(str),
    near.map(lambda second: str(second * 1000)),
    st.sampled_from(["v1", "v2", "2025-06-15T15:06:40Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"]),
)
headers = st.lists(st.tuples(names, likely), max_size=8).map(tuple)
bodies = st.one_of(
    st.binary(max_size=100),
    st.sampled_from([b"[]", b"[", b'{"value":[]}', b'{"value":[{"clientState":""}]}', b'{"value":7}', b"[" * 2000]),
    st.builds(
        lambda sig: json.dumps({"notificationItems": [{"NotificationRequestItem": {"additionalData": sig}}]}).encode(),
        st.none() | st.text(max_size=5) | st.fixed_dictionaries({"hmacSignature": b64s}),
    ),
    st.builds(
        lambda state: json.dumps({"value": [{"clientState": state}]}).encode(), st.text(max_size=20) | st.integers()
    ),
)
urls = st.one_of(
    st.text(max_size=30), st.builds("https://h.example:{}/a?access_token={}".format, near, st.text(max_size=9))
)


def body_of(scheme: Scheme, data: bytes) -> bytes:
    """Return a body that a scheme can sign, whatever `data` is: none looks like an array."""
    if scheme.freshness is not None and scheme.freshness.source == "body":
        return json.dumps({scheme.freshness.name: int(NOW * 1000), "data": data.hex()}).encode()
    return b"=" + data


def key_of(scheme: Scheme) -> tuple[bytes, bytes]:
    if scheme.algorithm == "ed25519" and scheme.key == "hex":
        return SEED.hex().encode(), ED.hex().encode()
    return SECRETS[scheme.key]


@given(st.sampled_from(SCHEMES), headers, bodies, urls, st.lists(st.binary(min_size=21, max_size=40), max_size=4))
def test_never_raises_and_never_accepts_random_requests(
    scheme: Scheme, given_headers: tuple[tuple[str, str], ...], body: bytes, url: str, secrets: list[bytes]
) -> None:
    assert isinstance(verify(scheme, SignedRequest("POST", url, given_headers, body), secrets, NOW), Invalid)


@given(st.sampled_from(sorted(VENDORS)), headers, bodies, urls)
def test_no_vendor_accepts_anything_by_empty_secrets(
    name: str, given_headers: tuple[tuple[str, str], ...], body: bytes, url: str
) -> None:
    if VENDORS[name].schemes:
        verdict = verify_any(VENDORS[name].schemes, SignedRequest("POST", url, given_headers, body), [b"", b""], NOW)[1]
        assert isinstance(verdict, Invalid)


@given(st.sampled_from(TWINS), st.binary(max_size=200), st.integers(0, 2))
def test_accepts_what_its_twin_signed_and_names_the_secret(scheme: Scheme, data: bytes, place: int) -> None:
    private, public = key_of(scheme)
    request = SignedRequest("POST", URL, FIXED, body_of(scheme, data))
    signed = replace(request, headers=(*sign(scheme, request, [private], NOW), *FIXED))
    secrets = [*[b"", b"aabb"][:place], public]
    assert verify(scheme, signed, secrets, NOW) == Valid(place, scheme.coverage)


@given(st.sampled_from(PROOFS), st.binary(min_size=1, max_size=64), st.data())
def test_refuses_any_changed_byte(scheme: Scheme, data: bytes, draw: st.DataObject) -> None:
    private, public = key_of(scheme)
    request = SignedRequest("POST", URL, FIXED, body_of(scheme, data))
    changed = bytearray(request.body)
    changed[draw.draw(st.integers(0, len(changed) - 1))] ^= draw.draw(st.integers(1, 255))
    other = replace(request, headers=(*sign(scheme, request, [private], NOW), *FIXED), body=bytes(changed))
    assert isinstance(verify(scheme, other, [public], NOW), Invalid)


@pytest.mark.parametrize("scheme", TWINS, ids=lambda scheme: scheme.name)
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_takes_any_bytes_without_a_copy(scheme: Scheme, kind: type[bytearray | memoryview]) -> None:
    private, public = key_of(scheme)
    request = SignedRequest("POST", URL, FIXED, kind(body_of(scheme, b"abc")))
    signed = replace(request, headers=(*sign(scheme, request, [private], NOW), *FIXED))
    assert verify(scheme, signed, [public], NOW) == Valid(0, scheme.coverage)


@given(st.text(max_size=60), st.sampled_from(["exact", "ports", "hubspot"]))
def test_urls_are_read_without_raising(url: str, kind: str) -> None:
    assert variants(kind, url)[0] == url  # type: ignore[arg-type]
    parameter(url, "access_token")


@pytest.mark.parametrize("scheme", [one for one in SCHEMES if one not in TWINS], ids=lambda scheme: scheme.name)
def test_signing_what_stands_in_no_header_is_an_error(scheme: Scheme) -> None:
    with pytest.raises(ValueError, match="not in a header"):
        sign(scheme, SignedRequest("POST", URL, (), b"{}"), [b"aa"], NOW)


def test_the_public_half_of_a_key_pair_is_no_mac_key() -> None:
    scheme = VENDORS["standardwebhooks"].auth
    assert scheme is not None
    with pytest.raises(ValueError, match="no usable secret"):
        sign(scheme, SignedRequest("POST", URL, FIXED, b""), [SECRETS["whpk"][1]], NOW)
    assert verify(
        scheme,
        SignedRequest("POST", URL, (*FIXED, ("webhook-signature", "v1,AA"), ("webhook-timestamp", str(int(NOW)))), b""),
        [SECRETS["whpk"][1]],
        NOW,
    ) == Invalid(Reason.NO_SECRET)
