"""Schemes that are no MAC over a message: tokens that are compared, and signatures inside the items of a body.

Lives here: explaining those two. Not here: everything that has a message (search.py).
"""

import base64
import binascii
from collections.abc import Iterator

import orjson

from ingress.diagnosis import keys
from ingress.diagnosis import presented as presentation
from ingress.diagnosis.case import Budget, Case
from ingress.diagnosis.causes import Cause, Finding
from ingress.diagnosis.keys import Key
from schemas.signing import Scheme, Valid, container, template, urls, verify
from schemas.signing.template import to_bytes

MAX_ITEMS = 100
_WORDS = (b"bearer ", b"token ", b"basic ")


def search(scheme: Scheme, case: Case, budget: Budget) -> tuple[Finding, ...] | None:
    """Return what explains the proof, () when it is right as it is; None when nothing does."""
    if scheme.items is not None:
        return _items(scheme, case, budget)
    return _token(scheme, case, budget)


def _token(scheme: Scheme, case: Case, budget: Budget) -> tuple[Finding, ...] | None:
    known = _keys(scheme, case)
    for text, wrong in _texts(scheme, case):
        for key in known:
            if not budget.take(len(text)):
                return None
            if key.made == text:
                return tuple(each for each in (key.wrong, wrong) if each is not None)
    return None


def _texts(scheme: Scheme, case: Case) -> Iterator[tuple[bytes, Finding | None]]:
    """Yield what came as the token, and what it may have been meant to be."""
    header = scheme.container.header
    said: list[tuple[str | None, Finding | None]] = []
    if scheme.container.kind == "query":
        said.append((urls.parameter(case.request.url, header), None))
    else:
        twice = Finding(
            Cause.HEADER_DUPLICATED,
            f"{header} is sent more than once and only the first counts: the right one comes later; send one",
            certain=True,
        )
        values = [value for name, value in case.request.headers if name.lower() == header.lower()]
        said += [(value, twice if index else None) for index, value in enumerate(values[: presentation.MAX_ALIASES])]
        for name in presentation.aliases(scheme, case.request):
            detail = f"the right token stands in the header {name}: this source reads {header}; send it there"
            said.append((template.header(case.request, name), Finding(Cause.HEADER_NAME, detail, certain=True)))
    for value, where in said:
        if value is None:
            continue
        proper = container.read(scheme.container, value)
        for candidate in () if proper is None else proper.candidates:
            yield candidate, where
        detail = f"the token is right but {header} must read {presentation.form(scheme)}, and nothing else"
        wrong = where or Finding(Cause.SIGNATURE_FORM, detail, certain=True)
        yield from ((text, wrong) for text in _loosely(to_bytes(value)))


def _loosely(value: bytes) -> Iterator[bytes]:
    """Yield what a token may be without quotation marks, the name of a scheme, or base64 around it."""
    bare = value.strip().strip(b"\"'")
    yield bare
    for word in _WORDS:
        if bare.lower().startswith(word):
            bare = bare[len(word) :].strip()
            yield bare
    try:
        yield base64.b64decode(bare, validate=True)
    except (binascii.Error, ValueError):
        return


def _items(scheme: Scheme, case: Case, budget: Budget) -> tuple[Finding, ...] | None:
    request = case.request
    tried = [(secret.value, next(keys.plain(scheme, secret), None)) for secret in case.secrets]
    for value, key in tried:
        if key is not None and budget.take(len(request.body)) and _right(scheme, case, value):
            return () if key.wrong is None else (key.wrong,)
    for secret in case.own:
        for key in keys.misread(scheme, secret):
            text = _as_text(scheme, key)
            if text and budget.take(len(request.body)) and _right(scheme, case, text) and key.wrong is not None:
                return (key.wrong,)
    return _altered(scheme, case, budget)


def _as_text(scheme: Scheme, key: Key) -> bytes:
    """Return the text that the scheme reads as this key; b"" when it takes none of that kind."""
    if not isinstance(key.made, bytes):
        return b""
    return {"utf8": key.made, "hex": key.made.hex().encode(), "base64": base64.b64encode(key.made)}.get(scheme.key, b"")


def _right(scheme: Scheme, case: Case, secret: bytes, body: bytes | None = None) -> bool:
    request = case.request if body is None else type(case.request)("POST", "", (), body)
    return isinstance(verify(scheme, request, [secret], case.now_s), Valid)


def _altered(scheme: Scheme, case: Case, budget: Budget) -> tuple[Finding, ...] | None:
    """Name the items of a batch that do not verify while others do."""
    if scheme.items is None:
        return None
    try:
        whole = orjson.loads(case.request.body)
    except orjson.JSONDecodeError:
        return None
    name = scheme.items.path.split("/")[1]
    items = whole.get(name) if isinstance(whole, dict) else None
    if not isinstance(items, list) or not 1 < len(items) <= MAX_ITEMS:
        return None
    bad = []
    for number, item in enumerate(items, 1):
        alone = orjson.dumps({name: [item]})
        if not any(budget.take(len(alone)) and _right(scheme, case, secret.value, alone) for secret in case.own):
            bad.append(number)
    if len(bad) == len(items) or not bad:
        return None
    listed = ", ".join(str(number) for number in bad[:10])
    detail = (
        f"of the {len(items)} items of the batch these do not verify, the others do: {listed}; they were altered or "
        "put in on the way, or signed with another key: nothing of the batch is taken"
    )
    return (Finding(Cause.ITEM_ALTERED, detail, certain=True),)


def _keys(scheme: Scheme, case: Case) -> list[Key]:
    """Return the keys to try: as they are, misread, then those of others."""
    found = [key for secret in case.own for key in keys.plain(scheme, secret)]
    found += [key for secret in case.own for key in keys.misread(scheme, secret)]
    return found + [key for secret in case.others for key in keys.plain(scheme, secret)]
