"""What of a request may be kept: secrets in headers and query strings become `***` before anything is stored.

Signatures stay: they prove nothing without the secret, and a refused or disputed delivery is judged by them.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_plus

from schemas.definitions.auth import Auth
from schemas.definitions.auth_free import ApiKeyAuth

HIDDEN = "***"
_HEADER = re.compile(
    r"^(?!.*idempotency)(?=.*(authorization|cookie|token|secret|password|passwd|api-?_?key|credential))", re.IGNORECASE
)
_PARAMETER = re.compile(
    r"token|secret|password|passwd|api[-_]?key|authorization|credential|cookie|^(access_?)?key$|^auth$|^code$|^pwd?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Carriers:
    """Where a source's senders put its secret, whatever the name sounds like; `header` in lower case."""

    header: str = ""
    parameter: str = ""


NO_CARRIERS = Carriers()


def carriers(auth: Auth) -> Carriers:
    """Return where an API key of this source stands; other secrets stand where names tell."""
    if not isinstance(auth, ApiKeyAuth):
        return NO_CARRIERS
    return Carriers((auth.header or "").lower(), auth.query or "")


def headers(given: tuple[tuple[str, str], ...], also: Carriers = NO_CARRIERS) -> tuple[tuple[str, str], ...]:
    """Return the headers in order, values of secret ones hidden."""
    shown = tuple((name, HIDDEN) if _is_secret(name) else (name, value) for name, value in given)
    if not also.header:
        return shown
    return tuple((name, HIDDEN) if name.lower() == also.header else (name, value) for name, value in shown)


def query(text: str, also: Carriers = NO_CARRIERS) -> str:
    """Return a query string byte for byte but for the values of secret parameters."""
    if not text:
        return text
    return "&".join(_parameter(part, also.parameter) for part in text.split("&"))


def _parameter(part: str, also: str) -> str:
    name, mark, _ = part.partition("=")
    plain = unquote_plus(name)
    return f"{name}={HIDDEN}" if mark and (plain == also or _PARAMETER.search(plain)) else part


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _HEADER.search(name) is not None
