"""Auth types `jwt` and `teams`: what is taken, what is refused, where and in which words; no secret comes back."""

import json
from typing import Any

import pytest

from schemas.definitions.auth_jwt import JwtAuth, TokenPreset
from schemas.definitions.base import read
from schemas.definitions.source import SourceDefinition
from schemas.errors import Refused
from tests.contract.vendors.tokens import pem, private, public, rsa_key

FETCHED: dict[str, Any] = {
    "type": "jwt",
    "issuer": "https://i.example",
    "audience": "a",
    "jwksUrl": "https://i.example/k",
}
PINNED: dict[str, Any] = {"type": "jwt", "issuer": "https://i.example", "audience": "a"}
SHARED: dict[str, Any] = {**PINNED, "algorithms": ["HS256"]}
TEAMS: dict[str, Any] = {"type": "teams", "audience": "app-id"}
RSA = public(rsa_key("one"), "k1")
EC = public(private("ES256", "one"), "k2")
SECRET = "0123456789abcdef0123456789abcdef"


def refusal(auth: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    with pytest.raises(Refused) as caught:
        read(SourceDefinition, {"platform": "shop", "auth": auth})
    assert SECRET not in str(caught.value)
    return caught.value.errors


@pytest.mark.parametrize(
    ("auth", "pointer", "words"),
    [
        ({"type": "jwt", "audience": "a", "jwksUrl": "https://i.example/k"}, "/auth/issuer", "missing"),
        ({"type": "jwt", "issuer": "i", "jwksUrl": "https://i.example/k"}, "/auth/audience", "missing"),
        (PINNED, "/auth", "either jwksUrl or keys"),
        (FETCHED | {"keys": [RSA]}, "/auth", "either jwksUrl or keys"),
        (FETCHED | {"audience": []}, "/auth/audience", "at least 1"),
        (FETCHED | {"audience": ["a"] * 9}, "/auth/audience", "at most 8"),
        (FETCHED | {"audience": ""}, "/auth/audience/0", "at least 1 characters"),
        (FETCHED | {"jwksUrl": "i.example/keys"}, "/auth/jwksUrl", "https://host/path"),
        (FETCHED | {"jwksUrl": "https://u:p@i.example/"}, "/auth/jwksUrl", "without user"),
        (FETCHED | {"jwksUrl": "https://i.example/" + "x" * 2048}, "/auth/jwksUrl", "at most 2048"),
        (FETCHED | {"algorithms": ["none"]}, "/auth/algorithms/0", "'RS256'"),
        (FETCHED | {"algorithms": []}, "/auth/algorithms", "at least 1"),
        (FETCHED | {"algorithms": ["RS256", "HS256"]}, "/auth/algorithms", "its own public key"),
        (FETCHED | {"algorithms": ["HS256"]}, "/auth", "leave out jwksUrl"),
        (FETCHED | {"secrets": [SECRET]}, "/auth", "secrets are for HS*"),
        (FETCHED | {"leewaySeconds": -1}, "/auth/leewaySeconds", "greater than or equal to 0"),
        (FETCHED | {"leewaySeconds": 601}, "/auth/leewaySeconds", "less than or equal to 600"),
        (FETCHED | {"toleranceSeconds": 60}, "/auth", "leewaySeconds"),
        (FETCHED | {"requiredClaims": {"a": {"b": 1}}}, "/auth/requiredClaims/a", "a claim's value is"),
        (FETCHED | {"requiredClaims": {"a": []}}, "/auth/requiredClaims/a", "at least 1"),
        (FETCHED | {"requiredClaims": {str(n): "*" for n in range(17)}}, "/auth/requiredClaims", "at most 16"),
        (FETCHED | {"bodyHashClaim": ""}, "/auth/bodyHashClaim", "at least 1 characters"),
        (FETCHED | {"header": "X"}, "/auth/header", "not known here"),
        (PINNED | {"keys": [7]}, "/auth/keys/0", "PEM or a JSON Web Key"),
        (PINNED | {"keys": ["ssh-rsa AAAA"]}, "/auth/keys/0", "-----BEGIN PUBLIC KEY-----"),
        (PINNED | {"keys": ["-----BEGIN PRIVATE KEY-----"]}, "/auth/keys/0", "make a new pair"),
        (PINNED | {"keys": [{**RSA, "d": "AQAB"}]}, "/auth/keys/0", "private or shared"),
        (PINNED | {"keys": [{"kty": "oct", "k": SECRET}]}, "/auth/keys/0", "private or shared"),
        (PINNED | {"keys": [{**RSA, "use": "enc"}]}, "/auth/keys/0", "not for signatures"),
        (PINNED | {"keys": [{**RSA, "n": "AQAB"}]}, "/auth/keys/0", "cannot be read"),
        (PINNED | {"keys": [public(rsa_key("weak", 1024), None)]}, "/auth/keys/0", "2048 to 8192 bits"),
        (PINNED | {"keys": [RSA, EC]}, "/auth", "keys/1 can be used with none of the algorithms; it fits ES256"),
        (PINNED | {"keys": [{**RSA, "alg": "RS512"}]}, "/auth", "it fits RS512"),
        (PINNED | {"keys": [RSA] * 17}, "/auth/keys", "at most 16"),
        (SHARED | {"secrets": [SECRET[1:]]}, "/auth", "at least 32 bytes"),
        (SHARED | {"algorithms": ["HS512"], "secrets": [SECRET]}, "/auth", "at least 64 bytes"),
        (SHARED | {"secrets": [pem(rsa_key("one"))]}, "/auth", "no shared secret"),
        (SHARED | {"keys": [RSA]}, "/auth", "leave out jwksUrl and keys"),
        ({"type": "teams"}, "/auth/audience", "missing"),
        (TEAMS | {"secrets": [SECRET]}, "/auth", "no secret to give"),
        (TEAMS | {"issuer": "x"}, "/auth", "both issuer and jwksUrl"),
        (TEAMS | {"keys": [RSA]}, "/auth/keys", "not known here"),
        (TEAMS | {"algorithms": ["HS256"]}, "/auth/algorithms", "not known here"),
        ({"type": "github", "audience": "a"}, "/auth/audience", "not known here"),
    ],
)
def test_a_faulty_definition_is_refused_where_and_why(auth: dict[str, Any], pointer: str, words: str) -> None:
    errors = refusal(auth)
    assert pointer in [found for found, _ in errors]
    assert any(words in message for found, message in errors if found == pointer), errors


@pytest.mark.parametrize(
    "auth",
    [
        FETCHED,
        FETCHED | {"audience": ["a", "b"], "algorithms": ["ES256", "EdDSA"], "leewaySeconds": 0},
        FETCHED | {"requiredClaims": {"email_verified": True, "n": [1, "x"], "sub": "*"}, "bodyHashClaim": "h"},
        PINNED | {"keys": [RSA, pem(rsa_key("two"))]},
        PINNED | {"keys": [EC], "algorithms": ["ES256"]},
        SHARED | {"secrets": [SECRET]},
        TEAMS | {"toleranceSeconds": 60},
        TEAMS | {"issuer": "https://api.botframework.us", "jwksUrl": "https://login.botframework.azure.us/v1/meta"},
    ],
)
def test_what_is_kept_and_shown_is_what_was_said_but_for_secrets(auth: dict[str, Any]) -> None:
    made = read(SourceDefinition, {"platform": "shop", "auth": auth})
    kept = made.model_copy(update={"auth": made.auth.model_copy(update={"secrets": ()})})
    again = SourceDefinition.model_validate_json(kept.model_dump_json(by_alias=True))
    assert isinstance(again.auth, JwtAuth | TokenPreset)
    assert isinstance(made.auth, JwtAuth | TokenPreset)
    assert again.auth.rule() == made.auth.rule()
    assert [one.id for one in again.auth.pinned()] == [one.id for one in made.auth.pinned()]
    shown = again.auth.shown()
    assert SECRET not in json.dumps(shown)
    assert set(shown) - {"algorithms", "leewaySeconds"} <= set(auth) - {"secrets"}
    assert read(SourceDefinition, {"platform": "shop", "auth": shown}).auth.shown() == shown


def test_what_goes_unsaid() -> None:
    made = read(SourceDefinition, {"platform": "shop", "auth": FETCHED}).auth
    assert made.shown() == FETCHED | {"audience": ["a"], "algorithms": ["RS256"], "leewaySeconds": 60}
    teams = read(SourceDefinition, {"platform": "teams", "auth": TEAMS}).auth
    assert isinstance(teams, TokenPreset)
    assert (teams.rule().leeway_s, teams.rule().issuer) == (300, "https://api.botframework.com")


def test_a_key_set_pasted_from_an_issuer_is_kept_without_what_is_not_needed() -> None:
    pasted = {**RSA, "x5c": ["MIIB" * 900], "x5t": "abc", "key_ops": ["verify"], "alg": "RS256"}
    made = read(SourceDefinition, {"platform": "shop", "auth": PINNED | {"keys": [pasted]}}).auth
    assert made.shown()["keys"] == [{**RSA, "alg": "RS256"}]
