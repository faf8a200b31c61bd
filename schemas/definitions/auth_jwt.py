"""Bearer tokens: what a signed JWT must say, and whose keys it is checked with (spec section 6).

Lives here: the two ways to say it, `jwt` and the presets of vendors that send tokens. What a token is judged by:
schemas/signing/jwt.py; how keys are fetched: ingress/jwks.py. No algorithm is `none`; shared and public keys
never meet.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from schemas.definitions.auth import Auth
from schemas.definitions.base import Definition
from schemas.signing import jwk
from schemas.signing.jwk import TokenKey
from schemas.signing.jwt import TokenRule
from schemas.vendors import VENDORS
from schemas.vendors.base import JwtRule

DEFAULT_LEEWAY_S = 60
MAX_PINNED = 16
_URL = re.compile(r"https?://[^\s/?#@\\]{1,255}(/[^\s#\\]*)?(\?[^\s#\\]*)?", re.ASCII)
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
]  # fmt: skip


def _one_or_many(value: Any) -> Any:  # noqa: ANN401 JSON
    return [value] if isinstance(value, str) else value


def _values(value: Any) -> Any:  # noqa: ANN401 JSON
    """Read one value or several; what could never be compared is refused in one sentence."""
    found = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(one, str | int) for one in found):
        raise ValueError("a claim's value is a text, a whole number, true or false, or a list of these")
    return found


def _url(value: str) -> str:
    if not _URL.fullmatch(value):
        raise ValueError("this is no URL that can be fetched: https://host/path, without user, password and fragment")
    return value


class PublicJwk(Definition):
    """A public JSON Web Key (RFC 7517); members that are not needed to check a signature are left out."""

    model_config = ConfigDict(extra="ignore")

    kty: Literal["RSA", "EC", "OKP"]
    kid: str | None = Field(default=None, max_length=jwk.MAX_KID)
    use: str | None = Field(default=None, max_length=32)
    alg: str | None = Field(default=None, max_length=32)
    crv: str | None = Field(default=None, max_length=32)
    n: str | None = Field(default=None, max_length=jwk.MAX_TEXT)
    e: str | None = Field(default=None, max_length=64)
    x: str | None = Field(default=None, max_length=256)
    y: str | None = Field(default=None, max_length=256)


def _readable(value: Any) -> Any:  # noqa: ANN401 JSON
    """Refuse a key that cannot be read, or must not be here, before anything of it is kept."""
    if isinstance(value, str):
        jwk.from_pem(value)
    elif isinstance(value, Mapping):
        jwk.from_jwk(value)
    elif not isinstance(value, PublicJwk):
        raise ValueError("a key is a text in PEM or a JSON Web Key")  # noqa: TRY004 pydantic's
    return value


Text = Annotated[str, Field(min_length=1, max_length=512)]
Audiences = Annotated[
    tuple[Text, ...],
    BeforeValidator(_one_or_many, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1, max_length=8),
]
Url = Annotated[str, Field(max_length=2048), AfterValidator(_url)]
Key = Annotated[PublicJwk | Annotated[str, Field(max_length=jwk.MAX_TEXT)], BeforeValidator(_readable)]
Value = StrictBool | StrictInt | Annotated[StrictStr, Field(max_length=512)]
Values = Annotated[
    tuple[Value, ...],
    BeforeValidator(
        _values,
        json_schema_input_type=bool | int | str | tuple[bool | int | str, ...],
    ),
    Field(min_length=1, max_length=16),
]


class TokenAuth(Auth):
    """What all tokens have: whom they are for, and where the keys are."""

    audience: Audiences
    jwks_url: Url | None = None

    def rule(self) -> TokenRule:
        """Return what a token must say."""
        raise AssertionError("a kind of token says what its rule is")

    def keys_url(self) -> str | None:
        """Return where the keys are fetched; None: they are pinned, or secrets."""
        return self.jwks_url

    def pinned(self) -> tuple[TokenKey, ...]:
        """Return the keys that stand in the definition."""
        return ()

    @property
    def shared(self) -> bool:
        """Tell whether the source's secrets are the keys."""
        return False


class JwtAuth(TokenAuth):
    """Any issuer's tokens.

    Keys: `jwksUrl` (a key set, or OpenID metadata that names one), or `keys` pinned here (PEM or JSON Web Keys), or,
    for HS256, HS384 and HS512 alone, the source's `secrets`. requiredClaims: name to value or values, `*` for any;
    bodyHashClaim: the claim that holds the SHA-256 of the body as hex or base64; without it a token says nothing of
    the body.
    """

    type: Literal["jwt"]
    issuer: Text
    keys: tuple[Key, ...] = Field(default=(), max_length=MAX_PINNED)
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256",), min_length=1, max_length=len(jwk.ALGORITHMS))
    required_claims: dict[Annotated[str, Field(min_length=1, max_length=128)], Values] = Field(
        default_factory=dict, max_length=16
    )
    leeway_seconds: int = Field(default=DEFAULT_LEEWAY_S, ge=0, le=600)
    body_hash_claim: str | None = Field(default=None, min_length=1, max_length=128)
    _rule: TokenRule = PrivateAttr()
    _pinned: tuple[TokenKey, ...] = PrivateAttr(default=())

    @field_validator("algorithms")
    @classmethod
    def _one_family(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len({name in jwk.SHARED for name in value}) > 1:
            raise ValueError(
                "HS* uses shared secrets, the others public keys: a source that takes both could be fooled "
                "with its own public key; make two sources"
            )
        return value

    @model_validator(mode="after")
    def _can_be_judged(self) -> "JwtAuth":
        if self.tolerance_seconds is not None:
            raise ValueError("a token's times have leewaySeconds, not toleranceSeconds")
        if self.shared and (self.jwks_url is not None or self.keys):
            raise ValueError("HS* algorithms take the source's secrets as keys: leave out jwksUrl and keys")
        if not self.shared and self.secrets:
            raise ValueError("secrets are for HS* algorithms; public keys go into keys or stand behind jwksUrl")
        if not self.shared and (self.jwks_url is not None) is bool(self.keys):
            raise ValueError("say where the issuer's public keys are: either jwksUrl or keys")
        self._pinned = tuple(_key(one) for one in self.keys)
        self._keys_fit()
        self._rule = TokenRule(
            name="jwt",
            issuer=self.issuer,
            audiences=frozenset(self.audience),
            algorithms=frozenset(self.algorithms),
            leeway_s=self.leeway_seconds,
            required=tuple(self.required_claims.items()),
            body_hash=self.body_hash_claim,
        )
        return self

    def _keys_fit(self) -> None:
        for place, one in enumerate(self._pinned):
            if not one.algorithms & set(self.algorithms):
                able = ", ".join(name for name in jwk.ALGORITHMS if name in one.algorithms)
                raise ValueError(f"keys/{place} can be used with none of the algorithms; it fits {able}")
        for secret in self.secrets:
            text = "" if secret.value is None else secret.value.get_secret_value()
            weak = jwk.weakness(text.encode(), min(self.algorithms)) if text else None
            if weak:
                raise ValueError(weak)

    def shown(self) -> dict[str, Any]:
        """Return what may be shown of it; what is empty is not said."""
        return {name: value for name, value in super().shown().items() if value not in ([], {})}

    def rule(self) -> TokenRule:
        """Return what a token must say."""
        return self._rule

    def pinned(self) -> tuple[TokenKey, ...]:
        """Return the keys that stand in the definition."""
        return self._pinned

    @property
    def shared(self) -> bool:
        """Tell whether the source's secrets are the keys."""
        return self.algorithms[0] in jwk.SHARED


class TokenPreset(TokenAuth):
    """A vendor's tokens: all but the audience is known; issuer and key set may be another cloud's.

    `toleranceSeconds` replaces the vendor's leeway.
    """

    type: Literal["teams"]
    issuer: Text | None = None
    _rule: TokenRule = PrivateAttr()

    @model_validator(mode="after")
    def _is_the_vendors(self) -> "TokenPreset":
        if self.secrets:
            raise ValueError("this vendor's tokens are checked with its public keys: there is no secret to give")
        if (self.issuer is None) is not (self.jwks_url is None):
            raise ValueError(
                "another cloud has another issuer and other keys: give both issuer and jwksUrl, or neither"
            )
        said = self._vendors()
        bound = said.claim_in_body
        self._rule = TokenRule(
            name=self.type,
            issuer=self.issuer or said.issuer,
            audiences=frozenset(self.audience),
            algorithms=frozenset(said.algorithms),
            leeway_s=said.leeway_s if self.tolerance_seconds is None else self.tolerance_seconds,
            claim_in_body=None if bound is None else (bound[0], _names(bound[1])),
            endorsed_by=None if said.endorsed_by is None else _names(said.endorsed_by),
        )
        return self

    def rule(self) -> TokenRule:
        """Return what a token must say."""
        return self._rule

    def keys_url(self) -> str:
        """Return where the keys are fetched."""
        return self.jwks_url or self._vendors().keys_url

    def _vendors(self) -> JwtRule:
        said = VENDORS[self.type].jwt
        assert said is not None  # noqa: S101 a test holds that the presets are the vendors with a rule
        return said


def _names(pointer: str) -> tuple[str, ...]:
    return tuple(pointer.split("/")[1:])


def _key(given: PublicJwk | str) -> TokenKey:
    if isinstance(given, str):
        return jwk.from_pem(given)
    return jwk.from_jwk(given.model_dump(exclude_none=True))
