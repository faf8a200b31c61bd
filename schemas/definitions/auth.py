"""How a sender proves itself: the `auth` member of a source (spec section 6).

Lives here: the base, with which presets (a vendor's name), `url` and `none` are said. Secrets come in as text,
`{fromEnv}` or `{fromFile}` and never go out again.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr

from schemas.definitions.base import Definition

MAX_SECRETS = 4
MAX_SECRET = 4096


class SecretRef(Definition):
    """A secret: its text, or where the server finds it when the source is saved."""

    value: SecretStr | None = Field(default=None, max_length=MAX_SECRET, min_length=1)
    from_env: str | None = Field(default=None, max_length=256, pattern=r"^HOOKBERG_SECRET_[A-Z0-9_]+$")
    from_file: str | None = Field(default=None, max_length=1024)


def _secret(value: Any) -> Any:  # noqa: ANN401 JSON
    return {"value": value} if isinstance(value, str) else value


Secret = Annotated[SecretRef, BeforeValidator(_secret)]


class Auth(Definition):
    """`type` is a vendor's name (preset), `url` (the secret URL is the credential) or `none` (an API key is).

    The base of every type; those with fields of their own: auth_free.py, auth_jwt.py, auth_mtls.py, put together in
    auth_any.py.
    `tolerance_seconds` replaces the vendor's own for signed times, both ways.
    """

    type: str = Field(pattern=r"^[a-z][a-zA-Z0-9-]{0,63}$")
    secrets: tuple[Secret, ...] = Field(default=(), max_length=MAX_SECRETS)
    tolerance_seconds: int | None = Field(default=None, ge=1, le=3600)

    def shown(self) -> dict[str, Any]:
        """Return what may be shown of it, fit to be read again: no secret, and nothing that is not set."""
        return self.model_dump(mode="json", by_alias=True, exclude={"secrets"}, exclude_none=True)


NOT_PRESETS = frozenset({"url", "none", "mtls"})
"""Types whose proof is no secret of the source."""
