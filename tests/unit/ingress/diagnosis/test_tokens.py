"""Refused tokens, explained to the source's owner: what the token says, what the source takes, what people overlook."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.diagnosis import Cause
from ingress.explain import explain
from schemas.signing import SignedRequest
from tests.contract.vendors.tokens import BODY, ENTRA, ISSUERS, NOW, TEAMS, Issuer
from tests.fakes.registry import source

RS256 = next(one for one in ISSUERS if one.name == "jwt-rs256")


def words(issuer: Issuer, header: str, now: float = NOW, **auth: Any) -> str:
    view = source(issuer.platform, auth=issuer.auth(**auth), secrets=())
    found = explain(view, SignedRequest("POST", "/", (("Authorization", header),), BODY), now, public_url="")
    assert all(one.cause is Cause.TOKEN and not one.certain for one in found)
    assert all(len(one.detail) <= 800 for one in found)
    return " | ".join(one.detail for one in found)


@pytest.mark.parametrize(
    ("issuer", "claims", "said"),
    [
        (RS256, {"iss": RS256.issuer.rstrip("/")}, "they differ in the slash at the end"),
        (RS256, {"iss": RS256.issuer.upper()}, "upper and lower case"),
        (
            RS256,
            {"iss": "https://evil.example"},
            "'https://evil.example'; the source takes 'https://issuer.example.com/'",
        ),
        (ENTRA, {"iss": "https://login.microsoftonline.com/72f988bf/v2.0"}, "version 1 and 2"),
        (RS256, {"aud": "api://other"}, "aud is 'api://other'; the source takes 'api://hooks'"),
        (RS256, {"aud": None}, "aud is None"),
        (RS256, {"exp": NOW - 7200}, "the token ended at 2025-06-15T13:06:40Z, 2 hours before the request"),
        (RS256, {"nbf": NOW + 300}, "begins at 2025-06-15T15:11:40Z, 5 minutes after the request"),
        (RS256, {"exp": None}, "exp"),
        (ENTRA, {"appid": None, "roles": "other"}, "says otherwise: appid, roles"),
        (RS256, {}, "look at its key, 'kid-one'"),
        (TEAMS, {"serviceurl": "https://other.example/"}, "whether the body is the one"),
    ],
)
def test_names_what_differs(issuer: Issuer, claims: dict[str, Any], said: str) -> None:
    assert said in words(issuer, f"Bearer {issuer.make(**claims)}")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (RS256.make(), "without the word Bearer"),
        ("Bearer hbk_abc", "an API key of this server"),
        ("Bearer a.b.c.d.e", "encrypted"),
        (f'Bearer "{RS256.make()}"', "quotes"),
        ("Bearer 0f4ba1c2", "opaque access token"),
    ],
)
def test_names_what_was_sent_in_place_of_a_token(header: str, said: str) -> None:
    assert said in words(RS256, header)


def test_names_the_algorithm() -> None:
    assert "signed with 'RS256'; the source takes ES256" in words(RS256, f"Bearer {RS256.make()}", algorithms=["ES256"])


def test_repeats_no_part_of_a_token_and_no_other_claim() -> None:
    token = RS256.make(email="person@example.com", aud="x" * 4000)
    said = words(RS256, f"Bearer {token}")
    assert "person@example.com" not in said
    assert not any(part in said for part in token.split("."))


@given(st.text(max_size=80), st.dictionaries(st.sampled_from(["iss", "aud", "exp", "nbf", "iat"]), st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=9),
    st.lists(st.text(max_size=9), max_size=3)), max_size=5))  # fmt: skip
def test_never_raises(text: str, claims: dict[str, Any]) -> None:
    words(RS256, f"Bearer {text}")
    words(RS256, f"Bearer {RS256.make(**json.loads(json.dumps(claims)))}")
