"""Items of a JSON array and members of an object, byte for byte: a clean event holds what was sent (spec section 3).

Lives here: slicing of JSON text that was already parsed once. Not here: what an item means (streams/split.py).
Made with msgspec's Raw: https://jcristharif.com/msgspec/api.html#raw
"""

import msgspec

_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_join = msgspec.json.Encoder().encode
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


def members(text: bytes) -> dict[str, msgspec.Raw]:
    """Return the members of a JSON object, each as its bytes; of equal names the last, as parsers do.

    Raises ValueError when `text` is not the text of one JSON object.
    """
    try:
        return _MEMBERS.decode(text)
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise ValueError(f"not a JSON object: {exc}") from exc


def joined(parts: dict[str, msgspec.Raw]) -> bytes:
    """Return the JSON object of these members, each with its bytes as they are."""
    return _join(parts)


def trimmed(text: bytes) -> bytes:
    """Return JSON text without the whitespace around its one value; the same object when there is none."""
    return text.strip(WHITESPACE)
