"""The paths of the data plane (spec section 4) and what each names. Pure; the doors and `receive` share it."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

WEBHOOKS = "/api/v1/webhooks/"
SECRET_URL = "/in/"  # noqa: S105 a path, not a secret
_MAX_QUERY = 8190
_MAX_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Platform:
    """`/api/v1/webhooks/{platform}`."""

    platform: str


@dataclass(frozen=True, slots=True)
class Workspace:
    """`/api/v1/webhooks/generic/{workspace_id}`: the workspace is the tenant."""

    workspace: str


@dataclass(frozen=True, slots=True)
class SecretUrl:
    """`/in/{url_token}`; the token never appears in repr."""

    token: str = field(repr=False)


Route = Platform | Workspace | SecretUrl


def find(path: str) -> Route | None:
    """Return what a path names, percent-decoded; None when it is no ingest path."""
    if path.startswith(WEBHOOKS):
        first, mark, rest = path[len(WEBHOOKS) :].partition("/")
        if not mark:
            return Platform(unquote(first)) if first else None
        return Workspace(unquote(rest)) if first == "generic" and rest and "/" not in rest else None
    if path.startswith(SECRET_URL):
        token = path[len(SECRET_URL) :]
        return SecretUrl(token) if token and "/" not in token else None
    return None


def query(text: str) -> dict[str, str]:
    """Return a query's parameters, the first value of a name wins; {} when it is odd or too long."""
    if not text or len(text) > _MAX_QUERY:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found
