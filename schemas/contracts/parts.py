"""Nodes of the normal form taken apart: keywords that belong together, what holds for a member, words for people.

Lives here: the small questions that need no proof. Not here: the proof (cover.py). Pure.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import orjson

from schemas.contracts.normal import Node, Normal
from schemas.contracts.places import LISTS, MAPS, ONE

Pairs = Sequence[Node]
"""Nodes that all hold for the same value."""
Tags = dict[str, frozenset[str]]
Way = Literal["backward", "forward"]
_HOLDING = ONE | LISTS | MAPS
_TOGETHER = (
    frozenset({"properties", "patternProperties", "additionalProperties"}),
    frozenset({"items", "prefixItems", "additionalItems"}),
    frozenset({"if", "then", "else"}),
    frozenset({"contains", "minContains", "maxContains"}),
    frozenset({"minimum", "exclusiveMinimum"}),
    frozenset({"maximum", "exclusiveMaximum"}),
)
"""Keywords that mean something only together."""
ALL_TOGETHER = frozenset({"unevaluatedProperties", "unevaluatedItems"})
"""They look at all the others: where another goes from a narrow node, they go first, which only widens it."""
_BRIEF = 120


def opened(of: Normal, nodes: Pairs) -> Iterator[Node]:
    """Yield the nodes and what their references and `allOf` say: all of it holds for the same value."""
    for node in nodes:
        yield node
        if isinstance(node, dict):
            yield from opened(of, node.get("allOf", ()))
            if "$ref" in node:
                yield from opened(of, (of.target(node["$ref"]),))


def groups(node: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the keywords of a node, those together that mean something only together."""
    if ALL_TOGETHER & node.keys():
        first = min(ALL_TOGETHER & node.keys())
        yield (first, *(name for name in node if name != first))
        return
    left = dict.fromkeys(node)
    while left:
        first = next(iter(left))
        group = next((each for each in _TOGETHER if first in each), frozenset({first}))
        found = tuple(name for name in left if name in group)
        for name in found:
            del left[name]
        yield found


def member(narrow: Pairs, name: str) -> Iterator[Node]:
    """Yield what is known to hold for the member `name` of a value that fits all of the nodes."""
    known = False
    for node in narrow:
        if isinstance(node, bool):
            continue
        if name in node.get("properties", {}):
            known = True
            yield node["properties"][name]
        elif "additionalProperties" in node and not node.get("patternProperties"):
            known = True
            yield node["additionalProperties"]
    if not known:
        yield True


def texts(node: Node) -> frozenset[str] | None:
    """Return the texts that a value may be where they are listed."""
    if isinstance(node, bool):
        return None
    values: list[Any] = node.get("enum", [node["const"]] if "const" in node else [])
    return frozenset(values) if values and all(isinstance(value, str) for value in values) else None


def flat(node: Node, group: Sequence[str]) -> Node:
    """Return a node without the keywords that hold schemas, but for those of `group`: it takes more, and is short.

    Of keywords that mean something only together all stay or all go.
    """
    if isinstance(node, bool):
        return node
    kept = {name for each in group for name in next((one for one in _TOGETHER if each in one), {each})} - ALL_TOGETHER
    return {name: value for name, value in node.items() if name in kept or (name != "$ref" and name not in _HOLDING)}


def stated(name: str, value: Any, narrow: Pairs) -> bool:  # noqa: ANN401 JSON
    """Tell whether the nodes say themselves what a keyword asks; False for those that hold schemas or need others."""
    if name in _HOLDING or name == "$ref" or any(name in group for group in _TOGETHER):
        return False
    own = [node[name] for node in narrow if isinstance(node, dict) and name in node]
    if name == "required":
        return set(value) <= {member for each in own for member in each}
    return any(same(each, value) for each in own)


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 JSON
    """Tell whether two JSON values are one; to Python 1, 1.0 and true are equal."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)


def within(own: Tags, known: Tags) -> bool:
    """Tell whether `own` tags say all that the known ones say, or more narrowly."""
    return own.keys() >= known.keys() and all(own[name] <= known[name] for name in known)


def names_integer(node: Node) -> bool:
    """Tell whether a node asks for an integer anywhere, or seems to."""
    return '"integer"' in json.dumps(node)


def brief(value: Any) -> str:  # noqa: ANN401 JSON
    """Return JSON in a line of a terminal."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 3]}..."


def said(way: Way, name: str, wide: Mapping[str, Any], narrow: Pairs) -> str:
    """Say what became of a keyword, for people: `was` the older version, `is` the candidate."""
    before = [node[name] for node in narrow if isinstance(node, dict) and name in node]
    backward = way == "backward"
    if name == "required":
        had = {member for each in before for member in each}
        missing = ", ".join(repr(each)[:80] for each in wide[name] if each not in had)
        return f"{'required now' if backward else 'no longer required'}: {missing}"
    if before and same(before[0], wide[name]):
        return f"`{name}` reads as before and means something else: what it refers to or stands beside has changed"
    if before and isinstance(before[0], list) and isinstance(wide[name], list) and name in LISTS:
        counts = len(before[0]), len(wide[name])
        was, now = counts if backward else counts[::-1]
        return f"`{name}` had {was} branches and has {now}: they do not fit each other one by one"
    of_wide, of_narrow = brief(wide[name]), brief(before[0]) if before else "not there"
    was_text, is_text = (of_narrow, of_wide) if backward else (of_wide, of_narrow)
    return f"`{name}` was {was_text}, is {is_text}"
