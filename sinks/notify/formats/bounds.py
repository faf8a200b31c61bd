"""What fits: texts that are cut after they were escaped, and never inside an escape."""

from collections.abc import Callable, Iterable

ELLIPSIS = "…"


def bounded(text: str, most: int, escape: Callable[[str], str]) -> str:
    """Return an escaped text of at most `most` UTF-16 units (as platforms count), with an ellipsis where it was cut."""
    escaped = escape(text)
    if units(escaped) <= most:
        return escaped
    kept, room = [], most - units(ELLIPSIS)
    for character in text:
        piece = escape(character)
        room -= units(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + ELLIPSIS


def lines(given: Iterable[str], most: int) -> str:
    """Return whole lines joined, as many as fit; an ellipsis stands for the others."""
    kept, room = [], most - units(ELLIPSIS) - 1
    for line in given:
        room -= units(line) + 1
        if room < 0:
            kept.append(ELLIPSIS)
            break
        kept.append(line)
    return "\n".join(kept)


def units(text: str) -> int:
    """Return how many UTF-16 units a text has."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
