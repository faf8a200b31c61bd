"""The signed message: a template of text and tokens, filled with the bytes as received.

Lives here: compiling and filling. Not here: MACs (mac.py) and reading headers apart (container.py). Tokens: `{body}`,
`{method}`, `{url}`, `{h.Name}` (a request header), `{p.name}` (a parameter of the signature header). A token is filled
with the received text, never with a re-formatted number (vendors sign what they sent).
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from schemas.signing.scheme import SignedRequest

Bytes = bytes | bytearray | memoryview
Filler = Callable[[SignedRequest, Mapping[str, str]], Bytes | None]
_TOKEN = re.compile(r"\{(body|method|url|h\.[A-Za-z0-9-]+|p\.[A-Za-z0-9_-]+)\}")


def to_bytes(text: str) -> bytes:
    """Return the bytes a header text stood for: latin-1 as received, UTF-8 for text that never was a header."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def header(request: SignedRequest, name: str) -> str | None:
    """Return the first value of a header, names compared without case; None if it is absent."""
    wanted = name.lower()
    for given, value in request.headers:
        if given.lower() == wanted:
            return value
    return None


def fill(message: str, request: SignedRequest, params: Mapping[str, str]) -> list[Bytes] | None:
    """Return the message in pieces (the body is not copied); None when a token has no value in this request."""
    pieces: list[Bytes] = []
    for part in _compiled(message):
        if isinstance(part, bytes):
            pieces.append(part)
            continue
        value = part(request, params)
        if value is None:
            return None
        pieces.append(value)
    return pieces


@lru_cache(maxsize=256)
def _compiled(message: str) -> tuple[bytes | Filler, ...]:
    parts: list[bytes | Filler] = []
    for index, text in enumerate(_TOKEN.split(message)):
        if index % 2:
            parts.append(_filler(text))
        elif text:
            parts.append(text.encode())
    return tuple(parts)


def _filler(token: str) -> Filler:
    if token == "body":  # noqa: S105 a token of the template
        return lambda request, _params: request.body
    if token == "method":  # noqa: S105
        return lambda request, _params: to_bytes(request.method)
    if token == "url":  # noqa: S105
        return lambda request, _params: to_bytes(request.url)
    kind, _, name = token.partition(".")
    if kind == "h":
        return lambda request, _params: _maybe(header(request, name))
    return lambda _request, params: _maybe(params.get(name))


def _maybe(text: str | None) -> bytes | None:
    return None if text is None else to_bytes(text)
