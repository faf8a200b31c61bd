"""Verify never raises, never accepts what was not signed, and accepts what its twin signed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.signing import Container, Freshness, Invalid, Scheme, SignedRequest, Valid, sign, verify
from schemas.vendors import VENDORS

AUTH: dict[str, Scheme] = {name: vendor.auth for name, vendor in VENDORS.items() if vendor.auth is not None}
NOW = 1_750_000_000.0
OTHERS = {
    "list-base64": Scheme(
        "list",
        "sha256",
        "{h.webhook-id}.{h.webhook-timestamp}.{body}",
        Container("list", "webhook-signature", tag="v1,", separator=" ", encoding="base64"),
        key="base64",
        freshness=Freshness("header", "webhook-timestamp"),
    ),
    "url": Scheme("url", "sha1", "{method} {url}{body}", Container("bare", "X-Sig", encoding="base64"), key="hex"),
    "ms": Scheme(
        "ms",
        "sha512",
        "{p.ts}:{body}",
        Container("kv", "X-Sig", tag="h1", timestamp="ts", separator=";"),
        freshness=Freshness("param", "ts", unit="ms", past_s=5, future_s=5),
    ),
}
SCHEMES = [*AUTH.values(), *OTHERS.values()]
SECRET = {"utf8": b"plain", "base64": b"c2VjcmV0IGtleQ==", "hex": b"00ff10"}
ID = (("webhook-id", "msg_1"),)

names = st.sampled_from(
    ["X-Hub-Signature-256", "Stripe-Signature", "X-Slack-Signature", "X-Slack-Request-Timestamp", "X-Sig", "webhook-id"]
)
hexes = st.text("0123456789abcdef", min_size=60, max_size=68)
likely = st.one_of(
    st.text(max_size=200),
    st.builds("sha256={}".format, hexes),
    st.builds("v0={}".format, hexes),
    st.builds("t={},v1={}".format, st.integers(int(NOW) - 400, int(NOW) + 400), hexes),
    st.integers(int(NOW) - 400, int(NOW) + 400).map(str),
)
headers = st.lists(st.tuples(st.one_of(names, st.text(max_size=20)), likely), max_size=8).map(tuple)


@given(
    st.sampled_from(SCHEMES), headers, st.binary(max_size=100), st.text(max_size=20), st.lists(st.binary(max_size=40))
)
def test_never_raises_and_never_accepts_random_headers(
    scheme: Scheme, given_headers: tuple[tuple[str, str], ...], body: bytes, url: str, secrets: list[bytes]
) -> None:
    assert isinstance(verify(scheme, SignedRequest("POST", url, given_headers, body), secrets, NOW), Invalid)


@given(st.sampled_from(SCHEMES), st.binary(max_size=200), st.integers(0, 2))
def test_accepts_what_its_twin_signed_and_names_the_secret(scheme: Scheme, body: bytes, place: int) -> None:
    request = SignedRequest("POST", "https://hooks.example.com/a?b=%20c", ID, body)
    added = sign(scheme, request, [SECRET[scheme.key]], NOW)
    secrets = [b"aabb"] * place + [SECRET[scheme.key]]
    assert verify(scheme, replace(request, headers=(*added, *ID)), secrets, NOW) == Valid(place)


@given(st.sampled_from(SCHEMES), st.binary(min_size=1, max_size=64), st.data())
def test_refuses_any_changed_byte(scheme: Scheme, body: bytes, data: st.DataObject) -> None:
    request = SignedRequest("POST", "https://hooks.example.com/", ID, body)
    added = sign(scheme, request, [SECRET[scheme.key]], NOW)
    place = data.draw(st.integers(0, len(body) - 1))
    changed = bytearray(body)
    changed[place] ^= data.draw(st.integers(1, 255))
    other = replace(request, headers=(*added, *ID), body=bytes(changed))
    assert isinstance(verify(scheme, other, [SECRET[scheme.key]], NOW), Invalid)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("body", [bytearray(b"abc"), memoryview(b"abc")], ids=["bytearray", "memoryview"])
def test_takes_any_bytes_without_a_copy(name: str, body: bytearray | memoryview) -> None:
    scheme = OTHERS[name]
    request = SignedRequest("POST", "/", ID, body)
    signed = replace(request, headers=(*sign(scheme, request, [SECRET[scheme.key]], NOW), *ID))
    assert verify(scheme, signed, [SECRET[scheme.key]], NOW) == Valid(0)
