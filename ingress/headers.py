"""A request's headers read once: texts, an index by name, and what is known of their names.

Lives here: decoding, and the cache of names. A sender sends the same names in the same order for ever, so what depends
on names alone is worked out once for each such row of names and looked up after. Bounded: MAX_ROWS rows of at most
MAX_NAMES names; past it the cache begins anew. Not here: what of a request may be kept (redact.py).
"""

from collections.abc import Sequence

import msgspec
import orjson

from ingress import redact
from ingress.redact import Carriers

MAX_ROWS = 2_048
MAX_NAMES = 40
MAX_NAME_BYTES = 1_024
_FRAMING = frozenset({"transfer-encoding", "expect", "upgrade", "trailer"})
_MARK = "\0"
_BETWEEN = _MARK.encode()
"""No value holds it: aiohttp refuses such a request. One that did would be read the slow way."""
_AS_IS = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')
"""What stands in a JSON text as it is, in one byte."""
Pairs = tuple[tuple[str, str], ...]


class Names(msgspec.Struct, frozen=True, gc=False):
    """A row of header names: as received, in lower case, their bytes; each there once, any secret.

    `plain`: distinct, with Host and a length, none that says how the body is framed or what the connection becomes.
    `kept`: the JSON of headers of these names, with a place for each value.
    """

    given: tuple[str, ...]
    lower: tuple[str, ...]
    size: int
    distinct: bool
    secret: bool
    plain: bool
    kept: bytes


class Headers(msgspec.Struct, frozen=True, gc=False):
    """Headers in wire order, repeated ones too; `by_name` in lower case, the first value wins; `size` in bytes.

    Texts are latin-1 as received, so that `text.encode("latin-1")` gives the exact bytes back.
    """

    values: list[str]
    by_name: dict[str, str]
    names: Names
    size: int
    _given: tuple[bytes, ...]
    _text: bytes

    @property
    def pairs(self) -> Pairs:
        """Return (name, value) of each."""
        return tuple(zip(self.names.given, self.values, strict=True))

    def kept(self, also: Carriers) -> bytes:
        """Return the headers as they are kept, values of secret ones hidden: a JSON array of [name, value]."""
        names, given = self.names, self._given
        if names.secret or also.header or len(self._text.translate(None, _AS_IS)) != len(given) - 1:
            return orjson.dumps(redact.headers(self.pairs, also))
        return names.kept % given  # each value stands in JSON as it is: a third of the time of writing it

    def __repr__(self) -> str:
        """Show how many; the values may be credentials."""
        return f"Headers({len(self.values)})"


_ROWS: dict[tuple[bytes, ...], Names] = {}


def read(raw: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Read headers as they stood on the wire."""
    row, given = zip(*raw, strict=True) if raw else ((), ())
    return of(_ROWS.get(row) or _remembered(row), given)


def known(row: tuple[bytes, ...]) -> Names | None:
    """Return what is remembered of a row of names that was read before."""
    return _ROWS.get(row)


def of(names: Names, given: tuple[bytes, ...]) -> Headers:
    """Return the headers of a row of names with these values."""
    row = names.given
    text = _BETWEEN.join(given)
    values = text.decode("latin-1").split(_MARK)  # one call for all: a third of the time of one call each
    if len(values) != len(row):
        values = [value.decode("latin-1") for value in given]
    if names.distinct:
        by_name = dict(zip(names.lower, values, strict=True))
    else:
        by_name = {}
        for name, value in zip(names.lower, values, strict=True):
            by_name.setdefault(name, value)
    return Headers(values, by_name, names, names.size + len(text) - max(len(row) - 1, 0), given, text)


def _remembered(row: tuple[bytes, ...]) -> Names:
    given = tuple([name.decode("latin-1") for name in row])
    lower = tuple([name.lower() for name in given])
    size = sum(map(len, row))
    secret = any(map(redact.is_secret, given))
    distinct = len(set(lower)) == len(lower)
    plain = distinct and {"host", "content-length"} <= set(lower) and _FRAMING.isdisjoint(lower)
    parts = [b'[%b,"%%b"]' % orjson.dumps(name).replace(b"%", b"%%") for name in given]
    made = Names(given, lower, size, distinct, secret, plain, b"[%b]" % b",".join(parts))
    if len(row) <= MAX_NAMES and size <= MAX_NAME_BYTES:
        if len(_ROWS) >= MAX_ROWS:
            _ROWS.clear()
        _ROWS[row] = made
    return made
