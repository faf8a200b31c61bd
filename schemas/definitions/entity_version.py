"""Versions of an entity as OpenMetadata counts them, and what changed from one to the next; pure.

Lives here: the arithmetic and changeDescription. Not here: where versions are kept (backing/registry/objects).
Rule: made at 0.1; a change adds 0.1; a change that a receiver must be ready for goes to the next whole number.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.wire.entity_event import Delta, Description

FIRST = 1
"""Versions are counted in tenths: 12 is 1.2."""


def following(version: int, *, major: bool) -> int:
    """Return the version after this one, in tenths."""
    return (version // 10 + 1) * 10 if major else version + 1


def shown(version: int) -> float:
    """Return the number that callers see."""
    return version / 10


def read(text: str) -> int | None:
    """Return the version that a caller names (`0.1`, `12.0`), in tenths; None for what is none."""
    whole, _, part = text.partition(".")
    digits = whole + (part or "0")
    fits = len(whole) in range(1, 8) and len(part or "0") == 1 and digits.isascii() and digits.isdigit()
    return int(digits) if fits else None


def major(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether a receiver must be ready for a webhook's change: form, place, object or array, or its end."""
    if before["webhookType"] != after["webhookType"]:
        return True
    if before["webhookConfig"]["endpoint"] != after["webhookConfig"]["endpoint"]:
        return True
    return bool((before["batchSize"] == 1) != (after["batchSize"] == 1))


def described(before: Mapping[str, Any], after: Mapping[str, Any], previous: int | None) -> Description:
    """Return what differs between two JSON objects: objects by their leaves, dotted; lists as a whole.

    Null, an empty list and an empty object are absent. `previous` is the version before, in tenths.
    """
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    return Description(
        added=tuple(Delta(name, None, new[name]) for name in new if name not in old),
        updated=tuple(Delta(name, old[name], new[name]) for name in new if name in old and old[name] != new[name]),
        deleted=tuple(Delta(name, old[name], None) for name in old if name not in new),
        previous_version=None if previous is None else shown(previous),
    )


def _leaves(value: Mapping[str, Any], at: str) -> Iterator[tuple[str, Any]]:
    for name, item in value.items():
        dotted = f"{at}.{name}" if at else str(name)
        if isinstance(item, Mapping):
            yield from _leaves(item, dotted)
        elif item is not None and item != []:
            yield dotted, item
