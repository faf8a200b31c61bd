"""What signatures a request presents, however they are written: read as the scheme says, then leniently.

Lives here: headers and their texts -> digests, each with what is wrong with the way it was sent. Not here: whether one
is right (search.py). Bounds: 16 texts, as many decodings as there are; total on odd headers.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingress.diagnosis.causes import Cause, Finding
from schemas.signing import Scheme, SignedRequest, container, publickey, template, urls
from schemas.signing.scheme import MAX_HEADER

MAX_TEXTS = 16
MAX_ALIASES = 4
MIN_DIGEST, MAX_DIGEST = 16, 128
HIDDEN = "***"
_TOKENS = re.compile(r"[\s,;\"'<>]+")
_NAMED = re.compile(r"[A-Za-z0-9_-]{1,16}[=:]")
_HEX = re.compile(r"[0-9a-fA-F]{32,256}", re.ASCII)
_SIGNED = re.compile("signature|hmac", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Presented:
    """One signature's bytes; `wrong` None = it stands where the scheme wants it, written as it wants it."""

    digest: bytes = field(repr=False)
    wrong: Finding | None = None


def read(scheme: Scheme, request: SignedRequest) -> tuple[Presented, ...]:
    """Return every signature that the request could mean, the properly sent ones first."""
    found: dict[bytes, Presented] = {}
    for name, value, again in _values(scheme, request):
        right = name.lower() == scheme.container.header.lower()
        if right and not again:
            for digest in proper(scheme, value):
                found.setdefault(digest, Presented(digest))
        for text in _texts(value):
            for digest, encoding in _decoded(text):
                if len(found) < 2 * MAX_TEXTS:
                    found.setdefault(digest, Presented(digest, _wrong(scheme, name, encoding, right, again)))
    return tuple(found.values())


def proper(scheme: Scheme, value: str) -> Iterator[bytes]:
    """Yield the digests of a header that is written as the scheme says."""
    said = container.read(scheme.container, value)
    for candidate in () if said is None else said.candidates:
        digest = publickey.decode(scheme, candidate)
        if digest:
            yield digest


def alike(name: str) -> str:
    """Return what header names have in common that proxies, gateways and CGI spell otherwise."""
    return name.lower().replace("_", "-").removeprefix("http-").removeprefix("x-")


def aliases(scheme: Scheme, request: SignedRequest) -> tuple[str, ...]:
    """Return the names of headers in which a signature may stand by mistake, the likeliest first."""
    wanted = alike(scheme.container.header)
    names = dict.fromkeys(name for name, _ in request.headers if name.lower() != scheme.container.header.lower())
    near = [name for name in names if alike(name) == wanted]
    fresh = "" if scheme.freshness is None else scheme.freshness.name.lower()
    far = [name for name in names if name not in near and _SIGNED.search(name) and name.lower() != fresh]
    return (*near, *far)[:MAX_ALIASES]


def _values(scheme: Scheme, request: SignedRequest) -> Iterator[tuple[str, str, bool]]:
    """Yield (header, value, is a repetition)."""
    wanted = scheme.container.header
    if scheme.container.kind == "query":
        value = urls.parameter(request.url, wanted)
        if value is not None:
            yield wanted, value[:MAX_HEADER], False
        return
    values = [value for name, value in request.headers if name.lower() == wanted.lower()]
    for index, value in enumerate(values[:MAX_ALIASES]):
        yield wanted, value[:MAX_HEADER], index > 0
    for name in aliases(scheme, request):
        yield name, (template.header(request, name) or "")[:MAX_HEADER], False


def _texts(value: str) -> list[str]:
    texts: dict[str, None] = {}
    for token in _TOKENS.split(value):
        text = token
        while text and len(texts) < MAX_TEXTS:
            texts.setdefault(text)
            named = _NAMED.match(text)
            text = text[named.end() :] if named else ""
    return list(texts)


def _decoded(text: str) -> Iterator[tuple[bytes, str]]:
    """Yield (digest, how it was written)."""
    if _HEX.fullmatch(text) and len(text) % 2 == 0:
        yield binascii.unhexlify(text), "hex"
    plain = text.replace("-", "+").replace("_", "/")
    try:
        digest = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return
    if _HEX.fullmatch(digest.decode("latin-1")) and len(digest) % 2 == 0:
        yield binascii.unhexlify(digest), "base64 of the hex text"
    if MIN_DIGEST <= len(digest) <= MAX_DIGEST:
        yield digest, "base64" if plain == text and len(text) % 4 == 0 else "base64url or unpadded base64"


def _wrong(scheme: Scheme, name: str, encoding: str, right: bool, again: bool) -> Finding:
    wanted = scheme.container
    if not right:
        detail = f"the right signature stands in the header {name}: this source reads {wanted.header}"
        return Finding(Cause.HEADER_NAME, f"{detail}; send it there, or stop the proxy that renames headers", True)
    if again:
        detail = f"{wanted.header} is sent more than once and only the first counts"
        return Finding(Cause.HEADER_DUPLICATED, f"{detail}: the right one comes later; send one", True)
    if encoding != wanted.encoding:
        return Finding(
            Cause.SIGNATURE_ENCODING,
            f"the signature is right but written as {encoding}: write it as {wanted.encoding}",
            True,
        )
    return Finding(
        Cause.SIGNATURE_FORM, f"the signature is right but {wanted.header} must read {form(scheme)}", certain=True
    )


def form(scheme: Scheme) -> str:
    """Say in words how the header is written."""
    wanted = scheme.container
    text = "<token>" if scheme.algorithm == "token" else f"<{wanted.encoding}>"
    if wanted.kind == "credentials":
        return f"`{wanted.tag} {text}`"
    if wanted.kind == "kv":
        time = f"{wanted.timestamp}=<time>{wanted.separator}" if wanted.timestamp else ""
        return f"`{time}{wanted.tag}={text}`"
    if wanted.kind == "list":
        between = "spaces" if wanted.separator == " " else f"`{wanted.separator}`"
        return f"`{wanted.tag}{text}`, several separated by {between}"
    return f"`{wanted.tag}{text}`"
