"""The items of a JSON array, byte for byte: what goes into a clean event is what the vendor sent (spec section 3).

Lives here: slicing of JSON text that was already parsed once. Not here: what an item means (streams/split.py).
Made with msgspec's Raw: https://jcristharif.com/msgspec/api.html#raw
"""

import msgspec

_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
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


def trimmed(text: bytes) -> bytes:
    """Return JSON text without the whitespace around its one value; the same object when there is none."""
    return text.strip(WHITESPACE)
