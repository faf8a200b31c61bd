"""What a schema may cost: bytes, depth, size, patterns, references that never come to an end.

Lives here: the bounds, checked before a schema is compiled; a schema past one is refused and never stored. Not here:
bounds on judging an event (compile.py: steps of a pattern). Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.contracts.places import IN_PLACE, inside, place, pointer
from schemas.definitions.schema import MAX_SCHEMA_BYTES
from schemas.errors import Refused
from schemas.reasons import Reason

MAX_DEPTH = 100
"""Containers in each other; the validator's own bound is 255 and its walk takes stack."""
MAX_VALUES = 100_000
"""JSON values in a schema; the largest of GitHub's bundles has 2,158."""
MAX_PATTERN = 2_000
MAX_PATTERNS = 100
"""Different regular expressions of a schema, and characters of one: each is compiled in every process that uses the
schema, and takes up to 45 ms of it."""
MAX_REFERENCES = 10_000


def check_text(text: bytes) -> None:
    """Raise `Refused(body_too_large)` for a schema of too many bytes."""
    if len(text) > MAX_SCHEMA_BYTES:
        raise Refused(Reason.BODY_TOO_LARGE, f"a schema has at most {MAX_SCHEMA_BYTES:,} bytes; this has {len(text):,}")


def check(schema: Any) -> None:  # noqa: ANN401 JSON
    """Raise `Refused(invalid_definition)` with the pointer of what is past a bound."""
    references, patterns = 0, set[str]()
    for values, (path, value) in enumerate(walk(schema), 1):
        if values > MAX_VALUES:
            raise _refused("", f"a schema holds at most {MAX_VALUES:,} values: split it into several subjects")
        if len(path) >= MAX_DEPTH and isinstance(value, dict | list):
            raise _refused(pointer(path), f"a schema nests at most {MAX_DEPTH} deep: use `$ref` and `$defs`")
        if isinstance(value, dict):
            for expression, where in _expressions(value):
                patterns.add(expression)
                if len(expression) > MAX_PATTERN:
                    raise _refused(pointer((*path, *where)), f"a pattern has at most {MAX_PATTERN:,} characters")
            references += isinstance(value.get("$ref"), str)
    if len(patterns) > MAX_PATTERNS:
        raise _refused("", f"a schema has at most {MAX_PATTERNS:,} patterns; this has {len(patterns):,}")
    if references > MAX_REFERENCES:
        raise _refused("", f"a schema has at most {MAX_REFERENCES:,} references; this has {references:,}")
    _check_ends(schema)


def walk(schema: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:  # noqa: ANN401 JSON
    """Yield every value with its path, the outer before the inner; takes no stack."""
    todo: list[tuple[tuple[str | int, ...], Any]] = [((), schema)]
    while todo:
        path, value = todo.pop()
        yield path, value
        if len(path) > MAX_DEPTH:
            continue
        if isinstance(value, dict):
            todo += [((*path, name), member) for name, member in value.items()]
        elif isinstance(value, list):
            todo += [((*path, index), member) for index, member in enumerate(value)]


def _expressions(node: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(node.get("pattern"), str):
        yield node["pattern"], ("pattern",)
    if isinstance(node.get("patternProperties"), dict):
        for expression in node["patternProperties"]:
            yield expression, ("patternProperties", expression)


def _check_ends(schema: Any) -> None:  # noqa: ANN401 JSON
    """Refuse references that lead back to themselves without going into the value: they have no meaning.

    Depth first over the edges that judge the same value: `$ref` and the keywords of IN_PLACE. Takes no stack.
    """
    done: set[int] = set()
    for start, node in walk(schema):
        if not isinstance(node, dict) or "$ref" not in node or id(node) in done:
            continue
        path: list[tuple[int, Iterator[Any]]] = [(id(node), _same_value(schema, node))]
        open_: set[int] = {id(node)}
        while path:
            following = next(path[-1][1], None)
            if following is None:
                done.add(path[-1][0])
                open_.discard(path.pop()[0])
            elif id(following) in open_:
                raise _refused(pointer((*start, "$ref")), "this reference leads back to itself and says nothing")
            elif id(following) not in done:
                open_.add(id(following))
                path.append((id(following), _same_value(schema, following)))


def _same_value(schema: Any, node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: ANN401 JSON
    target = place(schema, node["$ref"]) if isinstance(node.get("$ref"), str) else None
    if isinstance(target, dict):
        yield target
    for name in IN_PLACE:
        for _, member in inside(name, node.get(name)):
            if isinstance(member, dict):
                yield member


def _refused(where: str, message: str) -> Refused:
    return Refused(Reason.INVALID_DEFINITION, f"the schema cannot be used: {message}", errors=((where, message),))
