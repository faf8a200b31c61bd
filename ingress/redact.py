"""What of a request may be kept: secrets in headers and query strings become `***` before anything is stored.

Signatures stay: they prove nothing without the secret, and a refused or disputed delivery is judged by them.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote, unquote_plus

from schemas.definitions.auth import Auth
from schemas.definitions.auth_free import ApiKeyAuth
from schemas.vendors.base import TOKEN_PREFIX

HIDDEN = "***"
MIN_SECRET = 4
"""Shorter ones hide nothing but everything."""
_PREFIX = re.compile(rf"^(v1,)?whs(ec|k)_|^v1,|^{TOKEN_PREFIX}")
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
    shown = tuple((name, HIDDEN) if is_secret(name) else (name, value) for name, value in given)
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
def is_secret(name: str) -> bool:
    """Tell whether a header of this name holds a secret."""
    return _HEADER.search(name) is not None


def writings(secrets: Iterable[bytes]) -> tuple[str, ...]:
    """Return the texts that give secrets away: as typed, without a prefix, as base64 and as hex; the longest first."""
    found: set[str] = set()
    for value in secrets:
        text = value.decode("latin-1").strip()
        encoded = (base64.b64encode(value), base64.urlsafe_b64encode(value))
        found |= {text, _PREFIX.sub("", text), value.hex(), *(each.decode().rstrip("=") for each in encoded)}
    return tuple(sorted((text for text in found if len(text) >= MIN_SECRET), key=lambda text: (-len(text), text)))


def without(text: str, secrets: Sequence[str]) -> str:
    """Hide `writings` wherever they stand; a text that holds one percent-encoded is hidden whole."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    if "%" in text or "+" in text:
        plain = (unquote(text, "latin-1"), unquote_plus(text, "latin-1"))
        if any(secret in each for each in plain for secret in secrets):
            return HIDDEN
    return text
