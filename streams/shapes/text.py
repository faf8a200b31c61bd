"""Bytes in any charset -> the same text in UTF-8.

Rule: what is UTF-8 is UTF-8, whatever is declared (RFC 8259 section 8.1 knows nothing else, and many senders declare
wrongly); else the declared charset decodes it; else it cannot be read. A source's own charset goes before all.
"""

from schemas.definitions.parse import codec
from schemas.errors import Poison
from schemas.reasons import Reason

BOM = b"\xef\xbb\xbf"
_WIDE = ("utf-16", "utf-32", "iso2022")
"""Charsets whose bytes may by chance be UTF-8: what declares one is decoded by it."""


def is_wide(declared: str | None) -> bool:
    """Tell whether the bytes of a declared charset are no superset of ASCII."""
    return declared is not None and (codec(declared) or "").startswith(_WIDE)


def utf8(body: bytes, declared: str | None, forced: str | None = None) -> bytes:
    """Return a text's bytes in UTF-8, without a byte order mark; raise `Poison(not_utf8|unsupported_content_type)`."""
    return decoded(body, declared, forced).removeprefix("\ufeff").encode("utf-8")


def decoded(body: bytes, declared: str | None, forced: str | None = None) -> str:
    """Return a text; raise `Poison(not_utf8)`, or `Poison(unsupported_content_type)` for an unknown charset."""
    charset = forced or declared
    name = None if charset is None else codec(charset)
    if forced is None and not (name or "").startswith(_WIDE):
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as wrong:
            if charset is None or name in {"utf-8", "ascii"}:
                raise Poison(Reason.NOT_UTF8, f"the body is not UTF-8 at byte {wrong.start}") from None
    if name is None:
        unknown = (charset or "")[:40]
        raise Poison(Reason.UNSUPPORTED_CONTENT_TYPE, f"the charset {unknown!r} is not one that is decoded")
    try:
        return body.decode(name)
    except UnicodeDecodeError as wrong:
        raise Poison(Reason.NOT_UTF8, f"the body is not {name} at byte {wrong.start}") from None
