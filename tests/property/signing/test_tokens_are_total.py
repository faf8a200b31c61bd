"""Tokens, keys and key sets never raise, whatever is sent, and nothing is accepted that its issuer did not sign."""

import json
import string
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.backing.egress import Guard
from schemas.definitions.auth_any import KINDS
from schemas.definitions.base import read
from schemas.definitions.source import SourceDefinition
from schemas.errors import Refused
from schemas.signing import Invalid, SignedRequest, Valid, jwk
from schemas.signing.jwt import TokenRule, verify
from tests.contract.vendors.tokens import BODY, ISSUERS, NOW, TEAMS, Issuer, b64, private, token

BY_NAME = {one.name: one for one in ISSUERS}
ALPHABET = string.ascii_letters + string.digits + "-_"
KEYS: dict[str, tuple[jwk.TokenKey, ...]] = {
    one.name: (jwk.from_secret("sec-0", one.key()),) if one.shared else jwk.from_set({"keys": [one.jwk()]})  # type: ignore[arg-type,misc]
    for one in ISSUERS
}
RULES: dict[str, TokenRule] = {
    one.name: read(SourceDefinition, {"platform": "shop", "auth": one.auth()}).auth.rule()  # type: ignore[attr-defined]
    for one in ISSUERS
}
STRANGERS = {name: private(name, "stranger") for name in ("RS256", "ES256", "EdDSA", "HS256", "HS512")}
TOKENS = {one.name: one.make() for one in ISSUERS}

issuers = st.sampled_from(ISSUERS)
texts = st.text(max_size=60)
plain = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
algorithms = st.sampled_from([*jwk.ALGORITHMS, "none", "None", "", "HS1"]) | values
heads = st.fixed_dictionaries(
    {"alg": algorithms},
    optional={
        "kid": st.just("kid-one") | values,
        "crit": values,
        "b64": values,
        "typ": values,
        "jwk": values,
        "zip": values,
    },
)
parts = st.one_of(
    st.text(ALPHABET, max_size=80),
    st.binary(max_size=60).map(b64),
    heads.map(lambda head: b64(json.dumps(head).encode())),
    values.map(lambda value: b64(json.dumps(value).encode())),
)
tokens = texts | st.lists(parts, min_size=1, max_size=6).map(".".join)
bodies = st.binary(max_size=80) | values.map(lambda value: json.dumps(value).encode()) | st.just(BODY)


def asked(text: str, body: bytes = BODY) -> SignedRequest:
    return SignedRequest("POST", "/", (("Authorization", text),), body)


@given(issuers, st.sampled_from(["Bearer ", "bearer ", "", "Basic ", "Bearer"]), tokens, bodies)
def test_never_raises_and_never_accepts_what_nobody_signed(issuer: Issuer, kind: str, said: str, body: bytes) -> None:
    verdict = verify(RULES[issuer.name], KEYS[issuer.name], asked(kind + said, body), NOW)
    assert isinstance(verdict, Invalid)
    assert verdict.reason.status == 401


@given(issuers, st.data())
def test_refuses_any_changed_character(issuer: Issuer, data: st.DataObject) -> None:
    said = TOKENS[issuer.name]
    assert isinstance(verify(RULES[issuer.name], KEYS[issuer.name], asked(f"Bearer {said}"), NOW), Valid)
    place = data.draw(st.integers(0, len(said) - 1))
    other = data.draw(st.sampled_from(ALPHABET + "."))
    if other != said[place]:
        changed = said[:place] + other + said[place + 1 :]
        assert isinstance(verify(RULES[issuer.name], KEYS[issuer.name], asked(f"Bearer {changed}"), NOW), Invalid)


@given(issuers, heads, st.sampled_from(sorted(STRANGERS)))
def test_refuses_whatever_a_stranger_signs(issuer: Issuer, head: dict[str, Any], algorithm: str) -> None:
    forged = token({**head, "alg": algorithm, "kid": "kid-one"}, issuer.said(), STRANGERS[algorithm])
    assert isinstance(verify(RULES[issuer.name], KEYS[issuer.name], asked(f"Bearer {forged}"), NOW), Invalid)


@given(
    st.dictionaries(st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "serviceurl", "sub"]), values, max_size=4),
    bodies,
)
def test_odd_claims_of_the_right_issuer_never_raise(claims: dict[str, Any], body: bytes) -> None:
    said = token({"alg": "RS256", "kid": "kid-one"}, {**TEAMS.said(), **claims}, TEAMS.key())
    verdict = verify(RULES["teams"], KEYS["teams"], asked(f"Bearer {said}", body), NOW)
    if isinstance(verdict, Valid):
        assert claims.get("iss", TEAMS.issuer) == TEAMS.issuer
        assert body == BODY
        assert TEAMS.audience in claims.get("aud", TEAMS.audience)


members = st.sampled_from(["kty", "kid", "use", "alg", "crv", "n", "e", "x", "y", "k", "d", "key_ops", "endorsements"])
likely = st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "AQAB", "sig", "RS256", "AA" * 40])
key_sets = st.fixed_dictionaries({"keys": st.lists(values | st.dictionaries(members, likely | values), max_size=4)})
fields = st.sampled_from(
    ["issuer", "audience", "jwksUrl", "keys", "algorithms", "requiredClaims", "leewaySeconds", "bodyHashClaim",
     "secrets", "toleranceSeconds", "x"]
)  # fmt: skip


@given(values | key_sets)
def test_a_key_set_is_read_or_refused(document: object) -> None:
    with suppress(ValueError):
        found = jwk.from_set(document)
        assert all(one.algorithms and not one.algorithms & set(jwk.SHARED) for one in found)


@given(issuers, st.dictionaries(fields, values, max_size=3), st.sampled_from(sorted(KINDS)) | st.none())
def test_a_definition_is_taken_or_refused_in_words(issuer: Issuer, odd: dict[str, Any], kind: str | None) -> None:
    auth = {**issuer.auth(), **odd, **({} if kind is None else {"type": kind})}
    refusal: Refused | None = None
    try:
        made = read(SourceDefinition, {"platform": "shop", "auth": auth})
        again = read(SourceDefinition, {"platform": "shop", "auth": made.auth.shown()})
        assert again.auth.shown() == made.auth.shown()
    except Refused as exc:
        refusal = exc
    errors = () if refusal is None else refusal.errors
    assert all(pointer.startswith("/auth") and message for pointer, message in errors)
    assert bool(errors) is (refusal is not None)


@given(texts | st.builds("https://{}{}".format, texts, texts))
def test_a_guard_judges_any_text(url: str) -> None:
    assert Guard().refusal(url) is None or len(Guard().refusal(url) or "") > 10


@pytest.mark.parametrize("issuer", ISSUERS, ids=lambda issuer: issuer.name)
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_takes_any_bytes_without_a_copy(issuer: Issuer, kind: type[bytearray | memoryview]) -> None:
    request = SignedRequest("POST", "/", (("Authorization", f"Bearer {TOKENS[issuer.name]}"),), kind(BODY))
    assert verify(RULES[issuer.name], KEYS[issuer.name], request, NOW) == Valid(0, RULES[issuer.name].coverage)
