"""The signature header taken apart and put together: bare | prefix | list | kv | credentials (a query reads as bare).

Lives here: reading candidates and parameters out of a header value, and writing one. Not here: MACs, timestamps' age.
Bounds: a header of at most MAX_HEADER characters, at most MAX_CANDIDATES signatures (scheme.py).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from schemas.signing.scheme import MAX_CANDIDATES, MAX_HEADER, Container
from schemas.signing.template import to_bytes

_NO_PARAMS: Mapping[str, str] = MappingProxyType({})


class Presented(msgspec.Struct, frozen=True):
    """What a header holds: signatures as presented, and parameters by name (kv only), the first of a name wins."""

    candidates: tuple[bytes, ...]
    params: Mapping[str, str] = _NO_PARAMS


def read(container: Container, value: str) -> Presented | None:
    """Take a header value apart; None when it is too long or holds no signature that could be compared."""
    if len(value) > MAX_HEADER:
        return None
    if container.kind == "kv":
        return _read_kv(container, value)
    if container.kind == "credentials":
        name, _, text = value.strip().partition(" ")
        return _presented((to_bytes(text.strip()),) if name.lower() == container.tag.lower() else ())
    if container.kind != "list":
        text = value.strip()
        alone = to_bytes(text[len(container.tag) :]) if text.startswith(container.tag) else b""
        return Presented((alone,)) if alone else None
    texts = [item.strip() for item in value.split(container.separator)]
    found = tuple(to_bytes(text[len(container.tag) :]) for text in texts if text.startswith(container.tag))
    return _presented(found)


def write(container: Container, signatures: Sequence[str], timestamp: str | None) -> str:
    """Put a header value together, the twin of `read`; several signatures only where the kind holds several."""
    if container.kind == "kv":
        pairs = [f"{container.timestamp}={timestamp}"] if container.timestamp and timestamp is not None else []
        pairs += [f"{container.tag}={signature}" for signature in signatures]
        return container.separator.join(pairs)
    if container.kind == "credentials":
        return f"{container.tag} {signatures[0]}"
    if container.kind == "list":
        return container.separator.join(container.tag + signature for signature in signatures)
    return container.tag + signatures[0]


def _read_kv(container: Container, value: str) -> Presented | None:
    params: dict[str, str] = {}
    found: list[bytes] = []
    for pair in value.split(container.separator):
        name, mark, text = pair.strip().partition("=")
        if not mark:
            continue
        if name == container.tag:
            found.append(to_bytes(text))
        else:
            params.setdefault(name, text)
    return _presented(tuple(found), params)


def _presented(found: tuple[bytes, ...], params: Mapping[str, str] = _NO_PARAMS) -> Presented | None:
    usable = tuple(candidate for candidate in found if candidate)
    if not usable or len(usable) > MAX_CANDIDATES:
        return None
    return Presented(usable, params)
