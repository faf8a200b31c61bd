"""What a JSON Schema says of a value's type, one level at a time: a leaf type, an object's members, or nothing.

Lives here: keywords -> type, of every draft from 4 to 2020-12. Not here: columns (from_schema.py). References and
members are looked into only when asked, so a schema that refers to itself costs what is asked of it.
JSON Schema validation, https://json-schema.org/draft/2020-12/json-schema-validation; applicators: core, section 10.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Union

from schemas.contracts.places import escape, place
from sinks.columns import kinds
from sinks.columns.shape import MAX_PRECISION, Decimals, Kind, Leaf

MAX_SCALE = 18
_MAX_IN_PLACE = 64
"""References and alternatives that judge the same value; a schema that leads back to itself was refused before."""
_INT, _LONG = (-(2**31), 2**31 - 1), (-(2**63), 2**63 - 1)
_OBJECT = ("properties", "additionalProperties", "patternProperties", "propertyNames", "unevaluatedProperties")
_ARRAY = ("items", "prefixItems", "contains", "unevaluatedItems")
_NUMBER = ("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_STRING = ("format", "pattern", "minLength", "maxLength", "contentEncoding", "contentMediaType")


@dataclass(frozen=True, slots=True)
class Node:
    """A place in a schema: `name` is the pin (`subject@version`), `at` the JSON pointer from the schema's root."""

    name: str
    root: Any
    schema: Any
    at: str


@dataclass(frozen=True, slots=True)
class Every:
    """A value that meets all of these."""

    parts: tuple["Term", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """A value that meets one of these."""

    parts: tuple["Term", ...]


Term = Union[Node, Every, Some]  # noqa: UP007 forward references inside


@dataclass(frozen=True, slots=True)
class Members:
    """An object: its members in the schema's order."""

    members: Mapping[str, Term] = field(default_factory=dict)


Said = Leaf | Members | None
"""None: nothing is said."""


def said(term: Term, depth: int = 0) -> Said:
    """Return what a term says of its value's type."""
    if depth > _MAX_IN_PLACE:
        return None
    if isinstance(term, Every):
        return _all(said(part, depth + 1) for part in term.parts)
    if isinstance(term, Some):
        return _any(said(part, depth + 1) for part in term.parts)
    if not isinstance(term.schema, dict):
        return None
    return _all([_own(term, depth), *(said(part, depth + 1) for part in _applied(term))])


def words(term: Term) -> tuple[Node | None, str]:
    """Return the first place that a term stands at, and the first description there."""
    first: Node | None = None
    todo: list[Term] = [term]
    for _look in range(_MAX_IN_PLACE):
        if not todo:
            break
        one = todo.pop(0)
        if not isinstance(one, Node):
            todo = [*one.parts, *todo]
            continue
        first = first or one
        if isinstance(one.schema, dict):
            for word in ("description", "title"):
                if isinstance(text := one.schema.get(word), str) and text.strip():
                    return first, " ".join(text.split())
            todo = [*_applied(one), *todo]
    return first, ""


def _applied(node: Node) -> Iterable[Term]:
    """Yield what else the value must meet: the reference's target, `allOf`, one of the alternatives."""
    schema = node.schema
    if isinstance(reference := schema.get("$ref"), str):
        target = _target(node, reference)
        if target is not None:
            yield target
    for at, part in enumerate(_list(schema.get("allOf"))):
        yield Node(node.name, node.root, part, f"{node.at}/allOf/{at}")
    for word in ("anyOf", "oneOf"):
        parts = _list(schema.get(word))
        if parts:
            yield Some(
                tuple(Node(node.name, node.root, part, f"{node.at}/{word}/{at}") for at, part in enumerate(parts))
            )
    branches = [word for word in ("then", "else") if isinstance(schema.get(word), dict)]
    if "if" in schema and branches:
        yield Some(tuple(Node(node.name, node.root, schema[word], f"{node.at}/{word}") for word in branches))


def _target(node: Node, reference: str) -> Node | None:
    base, mark, rest = reference.partition("#")
    own = node.root.get("$id", node.root.get("id")) if isinstance(node.root, dict) else None
    if base and (not isinstance(own, str) or base != own.rstrip("#")):
        return None
    found = place(node.root, f"#{rest}") if mark else node.root
    return None if found is None else Node(node.name, node.root, found, rest)


def _own(node: Node, depth: int) -> Said:
    schema = node.schema
    if "const" in schema:
        return _values([schema["const"]])
    named = schema.get("type")
    types = [named] if isinstance(named, str) else [one for one in _list(named) if isinstance(one, str)]
    if isinstance(values := schema.get("enum"), list) and "object" not in types:
        return _values(values)
    if not types:
        types = _guessed(schema)
    return _any(_of_type(one, node, depth) for one in types if one != "null")


def _guessed(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that keywords speak of where no type is named."""
    groups = (("object", _OBJECT), ("array", _ARRAY), ("number", _NUMBER), ("string", _STRING))
    return [kind for kind, keywords in groups if any(word in schema for word in keywords)]


def _of_type(kind: str, node: Node, depth: int) -> Said:  # noqa: PLR0911 one return a type
    schema = node.schema
    match kind:
        case "string":
            return {"date-time": Kind.TIME, "date": Kind.DATE}.get(str(schema.get("format")), Kind.STRING)
        case "boolean":
            return Kind.BOOL
        case "integer":
            return _whole(*_bounds(schema))
        case "number":
            return _number(schema)
        case "array":
            return _array(node, depth)
        case "object":
            return _object(node)
    return None


def _object(node: Node) -> Members:
    members = node.schema.get("properties")
    if not isinstance(members, dict):
        return Members()
    return Members(
        {
            name: Node(node.name, node.root, member, f"{node.at}/properties/{escape(name)}")
            for name, member in members.items()
        }
    )


def _array(node: Node, depth: int) -> Leaf:
    schema, parts = node.schema, list[Node]()
    for word in ("prefixItems", "items"):
        value = schema.get(word)
        if isinstance(value, list):
            parts += [Node(node.name, node.root, one, f"{node.at}/{word}/{at}") for at, one in enumerate(value)]
        elif isinstance(value, dict):
            parts.append(Node(node.name, node.root, value, f"{node.at}/{word}"))
    if not parts:
        return Kind.JSON
    found = [said(part, depth + 1) for part in parts]
    if any(one is None or isinstance(one, Members) for one in found):
        return Kind.JSON
    element = _any(found)
    return Kind.JSON if element is None or isinstance(element, Members) else kinds.list_of(element)


def _bounds(schema: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    low = [_exact(schema.get(word)) for word in ("minimum", "exclusiveMinimum")]
    high = [_exact(schema.get(word)) for word in ("maximum", "exclusiveMaximum")]
    lows, highs = [one for one in low if one is not None], [one for one in high if one is not None]
    return max(lows, default=None), min(highs, default=None)


def _whole(low: Decimal | None, high: Decimal | None) -> Leaf:
    """Return int or long by the bounds, a decimal past 64 bits; without bounds long."""
    ends = [one for one in (low, high) if one is not None]
    if len(ends) == 2 and all(_INT[0] <= one <= _INT[1] for one in ends):  # noqa: PLR2004 both ends
        return Kind.INT
    if all(_LONG[0] <= one <= _LONG[1] for one in ends):
        return Kind.LONG
    return Decimals(min(MAX_PRECISION, max(19, *(_digits(one) for one in ends))), 0)


def _number(schema: Mapping[str, Any]) -> Leaf:
    step = _exact(schema.get("multipleOf"))
    if step is None or step <= 0:
        return Kind.DOUBLE
    exponent = step.normalize().as_tuple().exponent
    scale = max(0, -exponent) if isinstance(exponent, int) else MAX_SCALE + 1
    low, high = _bounds(schema)
    if scale == 0:
        return _whole(low, high)
    if scale > MAX_SCALE:
        return Kind.DOUBLE
    if low is None or high is None:
        return Decimals(MAX_PRECISION, scale)
    return Decimals(min(MAX_PRECISION, max(_digits(low), _digits(high)) + scale), scale)


def _values(values: list[Any]) -> Said:
    """Return the type of listed values (`enum`, `const`)."""
    return _any(_value(value) for value in values if value is not None)


def _value(value: Any) -> Said:  # noqa: ANN401 JSON
    match value:
        case bool():
            return Kind.BOOL
        case int():
            return _whole(Decimal(value), Decimal(value))
        case float():
            return Kind.LONG if value.is_integer() and abs(value) <= _LONG[1] else Kind.DOUBLE
        case str():
            return Kind.STRING
    return Kind.JSON


def _any(found: Iterable[Said]) -> Said:
    """Return what holds for a value that is one of these; what says nothing is passed over."""
    result: Said = None
    for one in found:
        if one is None or result is None:
            result = one if result is None else result
        elif isinstance(one, Members) and isinstance(result, Members):
            result = _joined(result, one, Some)
        elif isinstance(one, Members) or isinstance(result, Members):
            result = Kind.JSON
        else:
            result = kinds.either(result, one)
    return result


def _all(found: Iterable[Said]) -> Said:
    """Return what holds for a value that is all of these."""
    result: Said = None
    for one in found:
        if one is None or result is None:
            result = one if result is None else result
        elif isinstance(one, Members) and isinstance(result, Members):
            result = _joined(result, one, Every)
        elif isinstance(one, Members) or isinstance(result, Members):
            leaf = result if isinstance(one, Members) else one
            result = (one if isinstance(one, Members) else result) if leaf is Kind.JSON else Kind.JSON
        else:
            result = kinds.both(result, one)
    return result


def _joined(one: Members, other: Members, how: type[Every] | type[Some]) -> Members:
    made = dict(one.members)
    for name, term in other.members.items():
        made[name] = how((made[name], term)) if name in made else term
    return Members(made)


def _exact(value: Any) -> Decimal | None:  # noqa: ANN401 JSON; a draft-4 `exclusiveMinimum` is a boolean
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else Decimal(repr(value))


def _digits(value: Decimal) -> int:
    """Return how many digits stand before the point."""
    return max(1, value.adjusted() + 1)


def _list(value: Any) -> list[Any]:  # noqa: ANN401 JSON
    return value if isinstance(value, list) else []
