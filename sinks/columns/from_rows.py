"""A shape from observed values: what new columns a batch of payloads asks for.

Lives here: typing by observation. Additive only: a column once typed keeps its type; what does not fit goes to `_raw`.
Empty arrays, empty objects and nulls say nothing about a type and are waited out (their values stand in `_extra`).
"""

from collections.abc import Iterable
from typing import Any

from sinks.columns import names
from sinks.columns.policy import Limits, Path
from sinks.columns.shape import LIST_OF, Branch, Kind, Shape, leaves
from sinks.rows.decode import Number

MIN_LONG, MAX_LONG = -(2**63), 2**63 - 1


class Wish(dict[str, Any]):
    """Observed member -> Kind or a Wish of its own, beside the columns that its struct has already."""

    __slots__ = ("_fields", "_taken")

    def __init__(self, fields: Iterable[str] = ()) -> None:
        super().__init__()
        self._fields = fields
        self._taken: set[str] | None = None

    def clashes(self, name: str) -> bool:
        """Tell whether a new column of this name would meet another one of its struct."""
        if self._taken is None:  # most structs are never asked
            self._taken = {names.key(taken) for taken in (*self._fields, *self)}
        return names.key(name) in self._taken

    def add(self, name: str, wanted: "Kind | Wish") -> None:
        """Wish for a column."""
        self[name] = wanted
        if self._taken is not None:
            self._taken.add(names.key(name))


def observe(payloads: Iterable[dict[str, Any]], shape: Branch, limits: Limits) -> Branch:
    """Return `shape` with the columns that `payloads` add, nearest to the root first, then as first seen."""
    room = limits.max_columns - leaves(shape)
    if room <= 0 and not limits.named:
        return shape
    wish = Wish(shape.fields)
    for payload in payloads:
        _wish(payload, wish, shape, (), limits)
    if not wish:
        return shape
    granted: set[tuple[str, ...]] = set()
    for path, _kind in sorted(_paths(wish, ()), key=lambda item: len(item[0])):
        if room > 0 or path in limits.named:
            granted.add(path)
            room -= 1
        elif not limits.named:
            break
    return _grow(shape, wish, (), granted)


def _wish(value: dict[str, Any], wish: Wish, known: Shape | None, at: Path, limits: Limits) -> None:
    fields = known.fields if isinstance(known, Branch) else {}
    for name, member in value.items():
        column = fields.get(name)
        if column is not None:
            if isinstance(column, Branch) and isinstance(member, dict):
                inner = wish.setdefault(name, Wish(column.fields))
                _wish(member, inner, column, (*at, name), limits)
                if not inner:
                    del wish[name]
            continue
        if member is None or not limits.usable((*at, name)):
            continue
        if name not in wish and wish.clashes(name):
            continue
        _wish_new((*at, name), member, wish, limits)


def _wish_new(path: Path, member: Any, wish: Wish, limits: Limits) -> None:  # noqa: ANN401 JSON
    name = path[-1]
    before = wish.get(name)
    if isinstance(member, dict) and limits.opens(path):
        if before is None or isinstance(before, Wish):
            inner = Wish() if before is None else before
            _wish(member, inner, None, path, limits)
            if inner and before is None:
                wish.add(name, inner)
        return
    kind = kind_of(member)
    if kind is None:
        return
    if before is None:
        wish.add(name, kind)
    elif not isinstance(before, Wish) and {before, kind} in (
        {Kind.LONG, Kind.DOUBLE},
        {Kind.LIST_LONG, Kind.LIST_DOUBLE},
    ):
        wish[name] = Kind.DOUBLE if Kind.DOUBLE in {before, kind} else Kind.LIST_DOUBLE


def kind_of(value: Any) -> Kind | None:  # noqa: ANN401, PLR0911 JSON; one return a type
    """Return the leaf type of a value; None when it does not tell (null, empty, a number that no type holds)."""
    match value:
        case bool():
            return Kind.BOOL
        case int():
            return Kind.LONG if MIN_LONG <= value <= MAX_LONG else None
        case float():
            return Kind.DOUBLE
        case str():
            return Kind.STRING
        case dict():
            return Kind.JSON if value else None
        case list():
            return _list_kind(value)
    return None


def _list_kind(values: list[Any]) -> Kind | None:
    kinds: set[Kind] = set()
    for value in values:
        if value is None:
            continue
        if isinstance(value, (list, dict)):
            return Kind.JSON
        if isinstance(value, Number) or (kind := kind_of(value)) is None:
            return None
        kinds.add(kind)
    if kinds == {Kind.LONG, Kind.DOUBLE}:
        return Kind.LIST_DOUBLE
    if len(kinds) > 1:
        return Kind.JSON
    return LIST_OF[kinds.pop()] if kinds else None


def _paths(wish: Wish, prefix: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], Kind]]:
    for name, wanted in wish.items():
        if isinstance(wanted, Wish):
            yield from _paths(wanted, (*prefix, name))
        else:
            yield (*prefix, name), wanted


def _grow(shape: Branch, wish: Wish, prefix: tuple[str, ...], granted: set[tuple[str, ...]]) -> Branch:
    fields = dict(shape.fields)
    for name, wanted in wish.items():
        path = (*prefix, name)
        if isinstance(wanted, Wish):
            before = fields.get(name)
            grown = _grow(before if isinstance(before, Branch) else Branch(), wanted, path, granted)
            if grown.fields:
                fields[name] = grown
        elif path in granted:
            fields[name] = wanted
    return Branch(fields)
