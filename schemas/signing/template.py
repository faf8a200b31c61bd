"""The signed message: a template of text and tokens, filled with the bytes as received.

Lives here: compiling and filling. Not here: MACs (mac.py), reading headers apart (container.py), what a body's fields
are (fields.py). Tokens: `{body}`, `{method}`, `{url}`, `{h.Name}` (a request header), `{p.name}` (a parameter of the
signature header), `{item0}` (the first item of an array as sent, else the body), `{params}` (Twilio's, fields.py). A
token is filled with the received text, never with a re-formatted number (vendors sign what they sent).
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from schemas.reasons import Reason
from schemas.signing import fields
from schemas.signing.fields import Bytes
from schemas.signing.scheme import SignedRequest

Filler = Callable[[SignedRequest, Mapping[str, str]], Bytes | Reason]
Template = Callable[[SignedRequest, Mapping[str, str]], list[Bytes] | Reason]
_TOKEN = re.compile(r"\{(body|item0|params|method|url|h\.[A-Za-z0-9-]+|p\.[A-Za-z0-9_-]+)\}")

_WHOLE = "{body}"
_BRACES = re.compile(r"\{[^{}]*\}?|\}")


def to_bytes(text: str) -> bytes:
    """Return the bytes a header text stood for: latin-1 as received, UTF-8 for text that never was a header."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def header(request: SignedRequest, name: str) -> str | None:
    """Return the first value of a header, names compared without case; None if it is absent."""
    wanted = name.lower()
    if request.by_name is not None:
        return request.by_name.get(wanted)
    for given, value in request.headers:
        if given.lower() == wanted:
            return value
    return None


def fill(message: str, request: SignedRequest, params: Mapping[str, str]) -> list[Bytes] | Reason:
    """Return the message in pieces (the body is not copied), or why a token has no value in this request."""
    return compiled(message)(request, params)


@lru_cache(maxsize=256)
def compiled(message: str) -> Template:
    """Return what fills a template with a request and the parameters of its signature header: `fill`, read once."""
    if message == _WHOLE:
        return lambda request, _params: [request.body]
    parts = _parts(message)

    def filled(request: SignedRequest, params: Mapping[str, str]) -> list[Bytes] | Reason:
        pieces: list[Bytes] = []
        for part in parts:
            value = part if isinstance(part, bytes) else part(request, params)
            if isinstance(value, Reason):
                return value
            pieces.append(value)
        return pieces

    return filled


def odd(message: str) -> str:
    """Return what in a template looks like a token and is none, "" when there is nothing of that kind."""
    found = _BRACES.search(_TOKEN.sub("", message))
    return "" if found is None else found[0]


def _parts(message: str) -> tuple[bytes | Filler, ...]:
    parts: list[bytes | Filler] = []
    for index, text in enumerate(_TOKEN.split(message)):
        if index % 2:
            parts.append(_filler(text))
        elif text:
            parts.append(text.encode())
    return tuple(parts)


def _filler(token: str) -> Filler:  # noqa: PLR0911 one line for each token
    if token == "body":  # noqa: S105 a token of the template
        return lambda request, _params: request.body
    if token == "method":  # noqa: S105
        return lambda request, _params: to_bytes(request.method)
    if token == "url":  # noqa: S105
        return lambda request, _params: to_bytes(request.url)
    if token == "item0":  # noqa: S105
        return lambda request, _params: _given(fields.first_item(request.body))
    if token == "params":  # noqa: S105
        return lambda request, _params: fields.params(request.url, header(request, "content-type") or "", request.body)
    kind, _, name = token.partition(".")
    if kind == "h":
        return lambda request, _params: _maybe(header(request, name))
    return lambda _request, params: _maybe(params.get(name))


def _maybe(text: str | None) -> bytes | Reason:
    return Reason.SIGNATURE_MALFORMED if text is None else to_bytes(text)


def _given(value: Bytes | None) -> Bytes | Reason:
    return Reason.SIGNATURE_MALFORMED if value is None else value
