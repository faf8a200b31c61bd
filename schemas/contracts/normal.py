"""A schema -> its normal form for comparing: what judges and nothing else, every reference by one scheme, one draft.

Lives here: drafts, their vocabularies, what one draft says in the words of 2020-12. Not here: comparing (compare.py).
Annotations and unknown keywords fall away, for they judge nothing; so do the neighbours of `$ref` before 2019-09.
https://json-schema.org/draft/2020-12/release-notes and the pages of the drafts before it. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.contracts.places import LISTS, MAPS, ONE, escape, place, pointer

Node = dict[str, Any] | bool
URIS = {
    4: "http://json-schema.org/draft-04/schema#",
    6: "http://json-schema.org/draft-06/schema#",
    7: "http://json-schema.org/draft-07/schema#",
    2019: "https://json-schema.org/draft/2019-09/schema",
    2020: "https://json-schema.org/draft/2020-12/schema",
}
LATEST = 2020
_COMMON = (
    "type enum multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems "
    "minItems uniqueItems maxProperties minProperties required properties patternProperties additionalProperties items "
    "allOf anyOf oneOf not $ref"
)
_SINCE = (
    (6, "const contains propertyNames"),
    (7, "if then else"),
    (2019, "dependentRequired dependentSchemas minContains maxContains unevaluatedProperties unevaluatedItems"),
    (2020, "prefixItems"),
)
_UNTIL_2019 = frozenset({"additionalItems"})
_UNTIL_7 = frozenset({"dependencies"})
_ELSEWHERE = ("$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor")
_IDS = ("$id", "id")


class Unlike(ValueError):
    """The schema uses something that comparing does not follow; the text says what."""


@dataclass(frozen=True, slots=True)
class Normal:
    """`root` and what its references name, `#/$defs/{escaped reference}`; `origin`: id of a node -> its pointer."""

    draft: int
    root: Node
    defs: Mapping[str, Node]
    origin: dict[int, str]

    def target(self, reference: str) -> Node:
        """Return what a reference of the normal form names."""
        return self.defs[reference]


def draft_of(schema: Node) -> int:
    """Return the draft that `$schema` names; absent: 2020-12."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    return next((draft for draft, uri in URIS.items() if isinstance(named, str) and _same(uri, named)), LATEST)


def normal(schema: Node, *, lower: bool, formats: bool) -> Normal:
    """Return the normal form; `lower`: in the words of 2020-12, whatever the draft. Raises `Unlike`."""
    return _Reader(schema, draft_of(schema), lower=lower, formats=formats).read()


def _same(uri: str, named: str) -> bool:
    return uri.rstrip("#") == named.rstrip("#")


def _words(draft: int, *, formats: bool) -> frozenset[str]:
    words = set(_COMMON.split())
    for since, more in _SINCE:
        if draft >= since:
            words.update(more.split())
    if draft < LATEST:
        words |= _UNTIL_2019
    if draft < 2019:  # noqa: PLR2004 the draft
        words |= _UNTIL_7
    return frozenset(words | {"format"} if formats else words)


class _Reader:
    def __init__(self, schema: Node, draft: int, *, lower: bool, formats: bool) -> None:
        self._schema, self._draft, self._lower = schema, draft, lower and draft != LATEST
        self._words = _words(draft, formats=formats)
        self._defs: dict[str, Node] = {}
        self._todo: list[str] = []
        self._origin: dict[int, str] = {}
        self._ids = "id" if draft == 4 else "$id"  # noqa: PLR2004 the draft

    def read(self) -> Normal:
        root = self._node(self._schema, ())
        while self._todo:
            reference = self._todo.pop()
            found = place(self._schema, reference)
            if not isinstance(found, dict | bool):
                raise Unlike(f"`$ref` {reference[:100]!r} names no schema")
            self._defs[reference] = self._node(found, tuple(reference.split("/")[1:]), at=reference.lstrip("#"))
        return Normal(LATEST if self._lower else self._draft, root, self._defs, self._origin)

    def _node(self, node: Node, path: tuple[str | int, ...], at: str | None = None) -> Node:
        if isinstance(node, bool):
            return node
        here = pointer(path) if at is None else at
        for name in _ELSEWHERE:
            if name in node:
                raise Unlike(f"`{name}` at {here or 'the top'}")
        if path and isinstance(node.get(self._ids), str):
            raise Unlike(f"`{self._ids}` inside the schema at {here}")
        if "$ref" in node and self._draft < 2019:  # noqa: PLR2004 the draft
            made: dict[str, Any] = {"$ref": self._reference(node["$ref"], here)}
        else:
            made = {name: self._member(name, node[name], here) for name in node if name in self._words}
        if self._lower:
            made = self._lowered(made, here)
        self._origin[id(made)] = here
        return made

    def _member(self, name: str, value: Any, here: str) -> Any:  # noqa: ANN401 JSON
        below = f"{here}/{escape(name)}"
        if name == "$ref":
            return self._reference(value, here)
        if name in LISTS and isinstance(value, list):
            return [self._node(each, (name, index), at=f"{below}/{index}") for index, each in enumerate(value)]
        if name in MAPS and isinstance(value, dict):
            return {
                key: each if isinstance(each, list) else self._node(each, (name, key), at=f"{below}/{escape(key)}")
                for key, each in value.items()
            }
        if name in ONE and isinstance(value, dict | bool):
            return self._node(value, (name,), at=below)
        return sorted(value) if name == "required" and isinstance(value, list) else value

    def _reference(self, reference: str, here: str) -> str:
        base = self._schema.get(self._ids) if isinstance(self._schema, dict) else None
        if isinstance(base, str) and "#" in reference and reference.partition("#")[0] == base.rstrip("#"):
            reference = f"#{reference.partition('#')[2]}"
        if place(self._schema, reference) is None:
            raise Unlike(f"`$ref` {reference[:100]!r} at {here or 'the top'}")
        if reference not in self._defs:
            self._defs[reference] = True
            self._todo.append(reference)
        return reference

    def _lowered(self, node: dict[str, Any], here: str) -> dict[str, Any]:
        """Say in 2020-12 what a node of an older draft says."""
        made = dict(node)
        if self._draft == 4:  # noqa: PLR2004 the draft
            for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
                if made.pop(exclusive, False) is True and bound in made:
                    made[exclusive] = made.pop(bound)
        if isinstance(made.get("items"), list):
            made["prefixItems"] = made.pop("items")
            if "additionalItems" in made:
                made["items"] = made.pop("additionalItems")
        made.pop("additionalItems", None)
        for name, wanted in (made.pop("dependencies", None) or {}).items():
            kind = "dependentRequired" if isinstance(wanted, list) else "dependentSchemas"
            made.setdefault(kind, {})[name] = wanted
        if "unevaluatedItems" in made:
            raise Unlike(f"`unevaluatedItems` of another draft at {here or 'the top'}")
        return made
