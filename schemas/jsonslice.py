"""Items of a JSON array and members of an object, byte for byte: a clean event holds what was sent (spec section 3).

Lives here: slicing of JSON text that was already parsed once. Not here: what an item means (streams/split.py).
Made with msgspec's Raw: https://jcristharif.com/msgspec/api.html#raw
"""

import msgspec

_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
WHITESPACE = b" \t\r\n"
"""RFC 8259 section 2."""


def items(array: bytes) -> list[bytes]:
    """Return the bytes of each item of a JSON array, without the whitespace around it.

    Raises ValueError when `array` is not the text of one JSON array.
    """
    try:
        return [bytes(raw) for raw in _ITEMS.decode(array)]
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise ValueError(f"not a JSON array: {exc}") from exc


def member(text: bytes, name: str) -> bytes:
    """Return the bytes of one member of a JSON object; of equal names the last, as parsers do.

    Raises ValueError when `text` is not the text of one JSON object with that member.
    """
    try:
        return bytes(_MEMBERS.decode(text)[name])
    except (msgspec.MsgspecError, RecursionError, KeyError) as exc:
        raise ValueError(f"not a JSON object with {name!r}: {exc}") from exc


def trimmed(text: bytes) -> bytes:
    """Return JSON text without the whitespace around its one value; the same object when there is none."""
    return text.strip(WHITESPACE)
