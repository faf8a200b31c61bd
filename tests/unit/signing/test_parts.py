"""Keys, URLs, forms, times and verdicts: the parts of the engine by themselves."""

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from schemas.reasons import Reason
from schemas.signing import (
    Container,
    Freshness,
    Invalid,
    Scheme,
    SignedRequest,
    Valid,
    fields,
    freshness,
    publickey,
    sign,
    verify,
    verify_any,
)
from schemas.signing.urls import parameter, variants
from schemas.vendors import VENDORS

SENDGRID = VENDORS["sendgrid"].schemes[0]
DISCORD = VENDORS["discord"].schemes[0]
BARE = Scheme("bare", "sha256", "{body}", Container("bare", "X-Sig"))
STAMPED = Scheme(
    "stamped", "sha256", "{h.X-T}{body}", Container("bare", "X-Sig-T"), freshness=Freshness("header", "X-T")
)


def spki(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, encoding: serialization.Encoding) -> bytes:
    return key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_a_public_key_may_be_pem_or_base64_der() -> None:
    key = ec.derive_private_key(5, ec.SECP256R1()).public_key()
    der = base64.b64encode(spki(key, serialization.Encoding.DER))
    assert publickey.public(SENDGRID, der) == publickey.public(SENDGRID, spki(key, serialization.Encoding.PEM)) == key
    assert publickey.public(SENDGRID, der.rstrip(b"=")) == key


@pytest.mark.parametrize(
    "key",
    [
        ec.derive_private_key(5, ec.SECP384R1()).public_key(),
        ec.derive_private_key(5, ec.SECP256K1()).public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
    ],
    ids=["P-384", "secp256k1", "RSA"],
)
def test_refuses_another_curve_or_kind_of_key(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> None:
    assert publickey.public(SENDGRID, base64.b64encode(spki(key, serialization.Encoding.DER))) is None


@pytest.mark.parametrize("secret", [b"", b"zz", b"00", b"00" * 31, b"00" * 33, b"\xff" * 64])
def test_refuses_what_is_no_ed25519_key(secret: bytes) -> None:
    request = SignedRequest("POST", "/", (("X-Signature-Timestamp", "1"), ("X-Signature-Ed25519", "00" * 64)), b"")
    assert verify(DISCORD, request, [secret], 1) == Invalid(Reason.NO_SECRET)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/x?y", "https://a.example:443/x?y"),
        ("http://a.example/x", "http://a.example:80/x"),
        ("https://a.example:8443/x:1", "https://a.example/x:1"),
        ("https://[::1]:443/x", "https://[::1]/x"),
        ("https://[::1]/x", "https://[::1]:443/x"),
        ("https://a.example", "https://a.example:443"),
    ],
)
def test_a_url_is_tried_with_and_without_its_port(url: str, expected: str) -> None:
    assert variants("ports", url) == (url, expected)


def test_hubspots_url_is_tried_with_some_escapes_undone() -> None:
    url = "https://a.example/x%2fy?z=%3A%20%25"
    assert variants("hubspot", url) == (url, "https://a.example/x/y?z=:%20%25")
    assert variants("hubspot", "https://a.example/x") == ("https://a.example/x",)


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("/a?x=1&t=%C3%A9&t=2", "\xc3\xa9"),
        ("/a?t=", ""),
        ("/a?t", ""),
        ("/a#?t=1", None),
        ("/a", None),
        ("/a?" + "&".join(["t=1"] * 200), None),
        ("/a?t=" + "1" * 9000, None),
    ],
)
def test_a_parameter_is_read_as_the_bytes_it_stands_for(url: str, value: str | None) -> None:
    assert parameter(url, "t") == value


def test_a_body_that_nothing_binds_is_no_message() -> None:
    """The URL alone would let anybody who saw one request send any body."""
    assert fields.params("https://a.example/x", "application/json", b"{}") is Reason.SIGNATURE_MALFORMED
    assert fields.params("https://a.example/x", "", b"a=1") is Reason.SIGNATURE_MALFORMED


def test_a_body_is_bound_by_its_hash_in_the_url_whatever_its_type() -> None:
    bound = "https://a.example/x?bodySHA256=" + hashlib.sha256(b"a=1").hexdigest()
    form = "application/x-www-form-urlencoded"
    assert fields.params(bound, form, b"a=1") == b""
    assert fields.params(bound, form, b"a=2") is Reason.SIGNATURE_MISMATCH
    assert fields.params(bound, form, b"") is Reason.SIGNATURE_MISMATCH


def test_a_forms_fields_are_sorted_and_said_once() -> None:
    body = b"b=2&a=%2B+1&b=1&b=2&empty=&&flag"
    assert fields.params("/", "Application/X-WWW-Form-Urlencoded; charset=utf-8", body) == b"a+ 1b1b2emptyflag"
    assert fields.params("/", "application/x-www-form-urlencoded", b"a=1&" * 1001) is Reason.SIGNATURE_MALFORMED


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2025-06-15T15:06:40Z", None),
        ("2025-06-15T17:11:40+02:00", None),
        ("2025-06-15T15:01:39Z", Reason.TIMESTAMP_STALE),
        ("2025-06-15T15:11:41Z", Reason.TIMESTAMP_FUTURE),
        ("2025-06-15T15:06:40", Reason.TIMESTAMP_MISSING),
        ("2025-06-15", Reason.TIMESTAMP_MISSING),
        ("0001-01-01T00:00:00+23:59", Reason.TIMESTAMP_STALE),
        ("1750000000", Reason.TIMESTAMP_MISSING),
        ("2025-06-15T15:06:40Z" + " " * 30, Reason.TIMESTAMP_MISSING),
    ],
)
def test_iso_times_want_an_offset(text: str, reason: Reason | None) -> None:
    assert freshness.check(Freshness("header", "t", unit="iso"), text, 1_750_000_000) is reason


def test_a_stamp_in_the_body_is_believed_only_after_the_body_is_proved() -> None:
    scheme = VENDORS["linear"].schemes[0]
    stale = SignedRequest("POST", "/", (("Linear-Signature", "00" * 32),), b'{"webhookTimestamp":1}')
    assert verify(scheme, stale, [b"k"], 1_750_000_000) == Invalid(Reason.SIGNATURE_MISMATCH)
    for body in (b"{}", b"[]", b"x", b'{"webhookTimestamp":true}', b'{"webhookTimestamp":1.5}'):
        request = SignedRequest("POST", "/", (), body)
        signed = SignedRequest("POST", "/", sign(scheme, request, [b"k"], 0), body)
        assert verify(scheme, signed, [b"k"], 1_750_000_000) == Invalid(Reason.TIMESTAMP_MISSING)


def test_of_several_schemes_the_one_that_got_furthest_says_why() -> None:
    def judge(*headers: tuple[str, str]) -> tuple[str, Reason]:
        scheme, verdict = verify_any((BARE, STAMPED), SignedRequest("POST", "/", headers, b""), [b"k"], 1000)
        assert isinstance(verdict, Invalid)
        return scheme.name, verdict.reason

    assert judge() == ("bare", Reason.SIGNATURE_MISSING)
    assert judge(("X-Sig-T", "00")) == ("stamped", Reason.TIMESTAMP_MISSING)
    assert judge(("X-Sig-T", "00"), ("X-T", "1")) == ("stamped", Reason.TIMESTAMP_STALE)
    assert judge(("X-Sig", "00"), ("X-Sig-T", "00")) == ("bare", Reason.SIGNATURE_MISMATCH)
    with pytest.raises(ValueError, match="no scheme"):
        verify_any((), SignedRequest("POST", "/", (), b""), [], 0)


def test_a_v3_signature_of_hubspot_alone_decides() -> None:
    body = b"[{}]"
    v1 = hashlib.sha256(b"k" + body).hexdigest()
    old = (("X-HubSpot-Signature-Version", "v1"), ("X-HubSpot-Signature", v1))
    schemes = VENDORS["hubspot"].schemes
    assert verify_any(schemes, SignedRequest("POST", "/", old, body), [b"k"], 0)[1] == Valid(0)
    beside = (*old, ("X-HubSpot-Signature-v3", "AAAA"), ("X-HubSpot-Request-Timestamp", "0"))
    verdict = verify_any(schemes, SignedRequest("POST", "/", beside, body), [b"k"], 0)[1]
    assert verdict == Invalid(Reason.SIGNATURE_MISMATCH)


@pytest.mark.parametrize(
    ("success", "text"), [(True, "true"), (False, "false"), ("true", "true"), (None, ""), (1.5, "")]
)
def test_a_field_of_an_item_is_signed_as_its_text(success: object, text: str) -> None:
    """Senders join texts: a number is its digits, a boolean is true or false, what is neither is empty."""
    scheme = VENDORS["adyen"].schemes[0]
    message = f"p::m::{10}:EUR:C:{text}"
    mark = base64.b64encode(hmac.digest(b"\xaa", message.encode(), "sha256")).decode()
    item = {
        "pspReference": "p",
        "merchantAccountCode": "m",
        "amount": {"value": 10, "currency": "EUR"},
        "eventCode": "C",
        "success": success,
        "additionalData": {"hmacSignature": mark},
    }
    body = json.dumps({"notificationItems": [{"NotificationRequestItem": item}]}).encode()
    assert verify(scheme, SignedRequest("POST", "/", (), body), [b"aa"], 0) == Valid(0, "partial")
