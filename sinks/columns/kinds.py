"""What two types have in common: the widest of alternatives, the narrowest of conditions, what Iceberg may widen.

Lives here: leaf types only, by table and arithmetic. No value is ever cast: what a common type does not hold is kept in
`_raw`. Legal promotions: Iceberg spec, "Schema Evolution".
"""

from sinks.columns.shape import ELEMENT, LIST_OF, MAX_PRECISION, Decimals, Kind, Leaf

_WHOLE = {Kind.INT: 10, Kind.LONG: 19}
"""Whole digits that a type may need."""
_NUMBERS = (Kind.INT, Kind.LONG, Kind.DOUBLE)
_TEXTS = frozenset({Kind.STRING, Kind.TIME, Kind.DATE})


def either(one: Leaf, other: Leaf) -> Leaf:
    """Return a type for values of both: the wider number, text for texts, else JSON text."""
    if one == other:
        return one
    if _number(one) and _number(other):
        return _wider(one, other)
    if one in _TEXTS and other in _TEXTS:
        return Kind.STRING
    if isinstance(one, Kind) and isinstance(other, Kind) and one in ELEMENT and other in ELEMENT:
        element = either(ELEMENT[one], ELEMENT[other])
        return LIST_OF.get(element, Kind.JSON) if isinstance(element, Kind) else Kind.JSON
    return Kind.JSON


def both(one: Leaf, other: Leaf) -> Leaf:
    """Return a type for values that meet both: the one that says more."""
    if one == other or other is Kind.JSON:
        return one
    if one is Kind.JSON:
        return other
    if _number(one) and _number(other):
        return one if _rank(one) <= _rank(other) else other
    if one in _TEXTS and other in _TEXTS:
        return other if one is Kind.STRING else one
    if isinstance(one, Kind) and isinstance(other, Kind) and one in ELEMENT and other in ELEMENT:
        element = both(ELEMENT[one], ELEMENT[other])
        return LIST_OF.get(element, Kind.JSON) if isinstance(element, Kind) else Kind.JSON
    return Kind.JSON


def promotes(have: Leaf, wanted: Leaf) -> bool:
    """Tell whether Iceberg may widen a column of type `have` to `wanted`."""
    if have is Kind.INT:
        return wanted is Kind.LONG
    return (
        isinstance(have, Decimals)
        and isinstance(wanted, Decimals)
        and have.scale == wanted.scale
        and have.precision < wanted.precision
    )


def list_of(element: Leaf) -> Kind:
    """Return the type of a list: of times and dates as text, of decimals as doubles, of JSON text as JSON text."""
    if isinstance(element, Decimals):
        return Kind.LIST_DOUBLE if element.scale else Kind.LIST_LONG
    if element is Kind.INT:
        element = Kind.LONG
    return LIST_OF.get(Kind.STRING if element in _TEXTS else element, Kind.JSON)


def _number(kind: Leaf) -> bool:
    return isinstance(kind, Decimals) or kind in _NUMBERS


def _rank(kind: Leaf) -> int:
    return 2 if isinstance(kind, Decimals) else {Kind.INT: 0, Kind.LONG: 1}.get(kind, 3)


def _wider(one: Leaf, other: Leaf) -> Leaf:
    if Kind.DOUBLE in {one, other}:
        return Kind.DOUBLE
    if isinstance(one, Kind) and isinstance(other, Kind):
        return Kind.LONG
    whole, scale = 0, 0
    for kind in (one, other):
        whole = max(whole, kind.precision - kind.scale if isinstance(kind, Decimals) else _WHOLE[kind])
        scale = max(scale, kind.scale if isinstance(kind, Decimals) else 0)
    return Decimals(whole + scale, scale) if whole + scale <= MAX_PRECISION else Kind.DOUBLE
