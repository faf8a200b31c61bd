"""A key is used for what it is, whatever is claimed of it."""

import pytest

from schemas.definitions.auth_jwt import JwtAuth
from schemas.reasons import Reason
from schemas.signing import Invalid, SignedRequest, jwk
from schemas.signing.jwk import TokenKey
from schemas.signing.jwt import verify
from tests.contract.vendors.tokens import ISSUERS, NOW, Issuer, pem, private, token

BY_NAME = {one.name: one for one in ISSUERS}


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "ES256", "EdDSA"])
def test_a_key_of_another_kind_never_verifies_even_where_its_algorithms_lie(algorithm: str) -> None:
    issuer = Issuer("any", algorithm)
    public = jwk.from_pem(pem(private("RS256", "one")))
    lying = TokenKey("lie", None, frozenset(jwk.ALGORITHMS), public.material)
    said = token({"alg": algorithm}, issuer.said(), issuer.key())
    request = SignedRequest("POST", "/", (("Authorization", f"Bearer {said}"),), b"")
    auth = JwtAuth.model_validate({**issuer.auth(), "algorithms": [algorithm]})
    assert verify(auth.rule(), (lying,), request, NOW) == Invalid(Reason.TOKEN_MISMATCH)


def test_a_secret_may_be_used_with_what_it_is_long_enough_for() -> None:
    sizes = {size: jwk.from_secret("s", b"x" * size) for size in (31, 32, 47, 48, 63, 64)}
    able = {size: sorted(key.algorithms) if key else [] for size, key in sizes.items()}
    assert able[31] == []
    assert able[32] == able[47] == ["HS256"]
    assert able[48] == able[63] == ["HS256", "HS384"]
    assert able[64] == ["HS256", "HS384", "HS512"]


@pytest.mark.parametrize(
    "text", [pem(private("RS256", "one")), "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ", '{"kty":"RSA","n":"AAAA"}' * 9]
)
def test_a_public_keys_text_is_no_shared_secret(text: str) -> None:
    assert jwk.from_secret("s", text.encode()) is None


def test_a_key_is_called_by_its_short_plain_id_else_by_its_fingerprint() -> None:
    one = BY_NAME["jwt-es256"].jwk()
    assert jwk.from_jwk(one).id == "kid-one"
    named = {kid: jwk.from_jwk({**one, "kid": kid}).id for kid in ("k" * 64, "k" * 65, "a b", "\u00e9")}
    assert named["k" * 64] == "k" * 64
    assert len({named["k" * 65], named["a b"], named["\u00e9"]}) == 1
    assert named["a b"].startswith("sha256:")
    assert jwk.from_pem(pem(private("ES256", "one"))).id == named["a b"]


def test_nothing_of_a_key_is_in_its_repr() -> None:
    key = jwk.from_secret("s", b"hush" * 16)
    assert "hush" not in repr(key)


def test_a_set_of_too_many_keys_is_none() -> None:
    one = BY_NAME["jwt-es256"].jwk()
    assert len(jwk.from_set({"keys": [one] * 64})) == 64
    with pytest.raises(ValueError, match="65 keys"):
        jwk.from_set({"keys": [one] * 65})
