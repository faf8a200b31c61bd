"""The `auth` member of a source: one model a type, chosen by its `type`; what has no fields of its own is `Auth`."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from schemas.definitions.auth import Auth
from schemas.definitions.auth_free import ApiKeyAuth, BasicAuth, BearerAuth, HmacAuth
from schemas.definitions.auth_jwt import JwtAuth, TokenPreset
from schemas.definitions.auth_mtls import MtlsAuth
from schemas.definitions.base import TAG

KINDS: Mapping[str, type[Auth]] = {
    "hmac": HmacAuth,
    "bearer": BearerAuth,
    "basic": BasicAuth,
    "apiKey": ApiKeyAuth,
    "jwt": JwtAuth,
    "mtls": MtlsAuth,
    "teams": TokenPreset,
}
_OTHER = TAG + "other"


def _tag(value: Any) -> str:  # noqa: ANN401 JSON or a definition
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return TAG + kind if isinstance(kind, str) and kind in KINDS else _OTHER


AnyAuth = Annotated[
    Annotated[Auth, Tag(_OTHER)]
    | Annotated[HmacAuth, Tag(TAG + "hmac")]
    | Annotated[BearerAuth, Tag(TAG + "bearer")]
    | Annotated[BasicAuth, Tag(TAG + "basic")]
    | Annotated[ApiKeyAuth, Tag(TAG + "apiKey")]
    | Annotated[JwtAuth, Tag(TAG + "jwt")]
    | Annotated[MtlsAuth, Tag(TAG + "mtls")]
    | Annotated[TokenPreset, Tag(TAG + "teams")],
    Discriminator(_tag),
]
