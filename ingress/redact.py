"""What of a request may be kept: secrets in headers and query strings become `***` before anything is stored.

Signatures stay: they prove nothing without the secret, and a refused or disputed delivery is judged by them.
"""

import re
from functools import lru_cache
from urllib.parse import unquote_plus

HIDDEN = "***"
_HEADER = re.compile(
    r"^(?!.*idempotency)(?=.*(authorization|cookie|token|secret|password|passwd|api-?_?key|credential))", re.IGNORECASE
)
_PARAMETER = re.compile(
    r"token|secret|password|passwd|api[-_]?key|authorization|credential|cookie|^(access_?)?key$|^auth$|^code$|^pwd?$",
    re.IGNORECASE,
)


def headers(given: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return the headers in order, values of secret ones hidden."""
    return tuple((name, HIDDEN) if _is_secret(name) else (name, value) for name, value in given)


def query(text: str) -> str:
    """Return a query string byte for byte but for the values of secret parameters."""
    if not text:
        return text
    return "&".join(_parameter(part) for part in text.split("&"))


def _parameter(part: str) -> str:
    name, mark, _ = part.partition("=")
    return f"{name}={HIDDEN}" if mark and _PARAMETER.search(unquote_plus(name)) else part


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return _HEADER.search(name) is not None
