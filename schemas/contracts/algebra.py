"""What a proof stands on: one question to jsonschema-rs, does this schema take every value that those take together.

Lives here: closing a node with the definitions it needs, asking, remembering. Not here: which questions (cover.py).
`covers` answers yes only for what it proved: https://docs.rs/jsonschema (module `canonical`). Pure.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema_rs
import orjson

from schemas.contracts.compile import PATTERNS
from schemas.contracts.normal import URIS, Node, Normal
from schemas.contracts.places import LISTS, MAPS, ONE, escape, inside

YES, NO, UNKNOWN = "yes", "no", "unknown"
LARGE = 3_000
"""Bytes of a question that is taken apart and not asked: a no of 40 KB takes a second, of 6 KB a tenth."""

LARGE_WHOLE = 20_000
"""Bytes of two documents that cannot be taken apart."""


class Algebra:
    """Asks; keeps the canonical forms of one comparison. `formats`: they judge."""

    def __init__(self, *, formats: bool) -> None:
        self._formats = formats
        self._forms: dict[tuple[int, tuple[int, ...]], Any] = {}
        self._texts: dict[tuple[int, tuple[int, ...]], bytes] = {}
        self._kept: list[object] = []

    def whole(self, wide: Node, narrow: Node) -> bool:
        """Tell whether a document is proven to take all that another takes; both of one draft.

        False past LARGE_WHOLE.
        """
        if len(orjson.dumps(wide)) + len(orjson.dumps(narrow)) > LARGE_WHOLE:
            return False
        return self._ask(self._canonical(wide), self._canonical(narrow)) == YES

    def takes(self, wide_of: Normal, wide: Node, narrow_of: Normal, narrow: Sequence[Node]) -> str:
        """Return yes, no or unknown: does `wide` take every value that all of `narrow` take.

        Past LARGE it is unknown unless the two are one: the answer would take seconds.
        """
        texts = self._text(wide_of, (wide,)), self._text(narrow_of, narrow)
        if texts[0] == texts[1]:
            return YES
        if len(texts[0]) + len(texts[1]) > LARGE:
            return UNKNOWN
        return self._ask(self._form(wide_of, (wide,)), self._form(narrow_of, narrow))

    def apart(self, of: Normal, one: Sequence[Node], other: Sequence[Node]) -> bool:
        """Tell whether it is proven that no value fits all of `one` and all of `other`; False past LARGE."""
        if len(self._text(of, one)) + len(self._text(of, other)) > LARGE:
            return False
        first, second = self._form(of, one), self._form(of, other)
        try:
            return first is not None and second is not None and _said(first.intersect(second).satisfiability()) == NO
        except _ERRORS:
            return False

    def _ask(self, wide: Any, narrow: Any) -> str:  # noqa: ANN401 jsonschema_rs.CanonicalSchema
        if wide is None or narrow is None:
            return UNKNOWN
        try:
            return _said(wide.covers(narrow))
        except _ERRORS:
            return UNKNOWN

    def _text(self, of: Normal, nodes: Sequence[Node]) -> bytes:
        key = id(of), tuple(id(node) for node in nodes)
        if key not in self._texts:
            self._kept.append(nodes)  # an id is a name only while its object lives
            self._texts[key] = orjson.dumps(closed(of, nodes), option=orjson.OPT_SORT_KEYS)
        return self._texts[key]

    def _form(self, of: Normal, nodes: Sequence[Node]) -> Any:  # noqa: ANN401 jsonschema_rs.CanonicalSchema
        key = id(of), tuple(id(node) for node in nodes)
        if key not in self._forms:
            self._kept.append(nodes)
            self._forms[key] = self._canonical(closed(of, nodes))
        return self._forms[key]

    def _canonical(self, schema: Node) -> Any:  # noqa: ANN401 jsonschema_rs.CanonicalSchema
        try:
            return jsonschema_rs.canonicalize(
                schema, validate_formats=self._formats, pattern_options=PATTERNS, offline=True
            )
        except _ERRORS:
            return None


_ERRORS = (ValueError, jsonschema_rs.ReferencingError)
"""`CanonicalizationError`, `IncompatibleOperands` and their like are ValueErrors."""


def closed(of: Normal, nodes: Sequence[Node]) -> Node:
    """Return one schema document that says all of `nodes`, with every definition that they need."""
    needed: dict[str, Node] = {}
    todo = [reference for node in nodes for reference in references(node)]
    while todo:
        reference = todo.pop()
        if reference not in needed:
            needed[reference] = of.target(reference)
            todo += references(needed[reference])
    parts = [_renamed(node) for node in nodes]
    document: dict[str, Any] = {"$schema": URIS[of.draft], "allOf": parts}
    if needed:
        document["$defs"] = {name: _renamed(node) for name, node in sorted(needed.items())}
    return document


def references(node: Node) -> Iterator[str]:
    """Yield the references inside a node of the normal form."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for name, value in node.items():
            for _, member in inside(name, value):
                yield from references(member)


def _renamed(node: Node) -> Node:
    if isinstance(node, bool):
        return node
    made: dict[str, Any] = {}
    for name, value in node.items():
        if name == "$ref":
            made[name] = f"#/$defs/{_quoted(value)}"
        elif name in LISTS and isinstance(value, list):
            made[name] = [_renamed(each) for each in value]
        elif name in MAPS and isinstance(value, dict):
            made[name] = {key: each if isinstance(each, list) else _renamed(each) for key, each in value.items()}
        elif name in ONE and isinstance(value, dict | bool):
            made[name] = _renamed(value)
        else:
            made[name] = value
    return made


def _quoted(reference: str) -> str:
    return escape(reference).replace("%", "%25").replace("#", "%23")


def _said(answer: Any) -> str:  # noqa: ANN401 an enum of jsonschema_rs
    return str(answer.value if hasattr(answer, "value") else answer).lower()
