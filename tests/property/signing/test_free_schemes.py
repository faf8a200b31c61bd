"""Free-form HMACs: whatever definition is taken can be signed by and judged by, and nothing else is."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.definitions.auth_free import HmacAuth
from schemas.definitions.base import read
from schemas.errors import Refused
from schemas.signing import Invalid, SignedRequest, Valid, sign, verify

NOW = 1_750_000_000.0
URL = "https://hooks.example.com/in/t?a=b"
BODY = b'{"at": 1750000000, "n": 1}'
SECRETS = {"utf8": b"plain", "hex": b"00ff10", "base64": b"c2VjcmV0IGtleQ==", "whsec": b"whsec_c2VjcmV0IGtleQ"}

pieces = st.sampled_from(
    ["{body}", "{timestamp}", "{method}", "{url}", "{h.X-Id}", "{h.x-time}", "{p.t}", ".", ":", "v0", "é", "{x}", "}"]
)
containers = st.fixed_dictionaries(
    {"kind": st.sampled_from(["bare", "prefix", "list", "kv"])},
    optional={
        "prefix": st.sampled_from(["", "sha256=", "v1,"]),
        "separator": st.sampled_from([",", ";", " "]),
        "key": st.sampled_from(["v1", "h1", "t"]),
    },
)
timestamps = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["header", "parameter", "body"]),
        "name": st.sampled_from(["X-Time", "t", "at"]),
    },
    optional={"unit": st.sampled_from(["s", "ms", "iso"])},
)
definitions = st.fixed_dictionaries(
    {"type": st.just("hmac"), "header": st.sampled_from(["X-Sig", "x-time", "Authorization"])},
    optional={
        "algorithm": st.sampled_from(["sha256", "sha1", "sha512"]),
        "keyEncoding": st.sampled_from(list(SECRETS)),
        "message": st.lists(pieces, max_size=6).map("".join),
        "container": containers,
        "encoding": st.sampled_from(["hex", "base64"]),
        "timestamp": timestamps,
        "toleranceSeconds": st.integers(0, 400),
    },
)


def taken(definition: dict[str, Any]) -> HmacAuth | None:
    try:
        return read(HmacAuth, definition)
    except Refused:
        return None


@given(definitions)
def test_what_is_taken_is_signed_and_judged_by_one_scheme(definition: dict[str, Any]) -> None:
    auth = taken(definition)
    if auth is None:
        return
    secret, scheme = SECRETS[auth.key_encoding], auth.scheme
    bare = SignedRequest("POST", URL, (("X-Id", "7"),), BODY)
    try:
        headers = sign(scheme, bare, [secret], NOW)
    except ValueError:
        return  # the message names a parameter that only the sender writes
    request = SignedRequest("POST", URL, (*headers, *bare.headers), BODY)
    verdict = verify(scheme, request, [b"\x01", secret], NOW)
    if scheme.freshness is not None and scheme.freshness.source == "body" and scheme.freshness.name != "at":
        assert isinstance(verdict, Invalid)
        return
    if scheme.freshness is None or scheme.freshness.source != "body" or scheme.freshness.unit == "s":
        assert verdict == Valid(1, scheme.coverage)
    assert isinstance(verify(scheme, request, [b"other", b""], NOW), Invalid)
    if scheme.coverage == "full":
        changed = SignedRequest("POST", URL, request.headers, BODY + b" ")
        assert isinstance(verify(scheme, changed, [secret], NOW), Invalid)


@given(definitions, st.lists(st.tuples(st.sampled_from(["X-Sig", "X-Time", "X-Id"]), st.text(max_size=60)), max_size=4))
def test_judging_by_it_is_total(definition: dict[str, Any], headers: list[tuple[str, str]]) -> None:
    auth = taken(definition)
    if auth is None:
        return
    secret = SECRETS[auth.key_encoding]
    assert isinstance(verify(auth.scheme, SignedRequest("POST", URL, tuple(headers), BODY), [secret], NOW), Invalid)
