"""Columns from the pinned schemas of a stream: shape, docs, where each is described.

Lives here: levels, limits, names. Not here: what a schema says of one value (described.py). Columns are granted by
depth, then by the schema's order (schemas in the order of their names), never by what arrives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from sinks.columns import names
from sinks.columns.described import Members, Node, Some, Term, said, words
from sinks.columns.policy import Limits, Path
from sinks.columns.shape import EMPTY, Branch, Kind, Leaf

MAX_MEMBERS = 6_000
"""Members looked at: a schema that refers to itself has no end."""
MAX_DOC = 400


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a stream's schemas make of its payload; `docs` by path: ` [subject@version#pointer]: description`."""

    shape: Branch = EMPTY
    docs: Mapping[Path, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Level:
    """What is found on the way down: leaves in order of grant, terms of structs to look into next."""

    leaves: dict[Path, Leaf] = field(default_factory=dict)
    next: list[tuple[Path, Members]] = field(default_factory=list)


def from_schemas(schemas: Sequence[tuple[str, bytes]], limits: Limits, *, loose: Leaf | None = None) -> Pinned:
    """Return the columns of (pin, schema text) pairs; `loose`: the type of a member of which a schema says nothing.

    Raises what a schema that was never checked makes it raise.
    """
    roots = [
        Node(name, schema, schema, "")
        for name, schema in ((name, orjson.loads(memoryview(text))) for name, text in schemas)
    ]
    top = said(Some(tuple(roots)))
    if not isinstance(top, Members):
        return Pinned()
    granted: dict[Path, Leaf] = {}
    docs: dict[Path, str] = {}
    level: list[tuple[Path, Members]] = [((), top)]
    left, order = MAX_MEMBERS, list[Path]()
    while level and left > 0:
        found = _Level()
        for at, members in level:
            if left <= 0:
                break
            for path, term in _usable(at, members, limits):
                left -= 1
                order.append(path)
                docs[path] = _doc(term)
                _look(path, term, limits, loose, found)
        room = limits.max_columns - len(granted)
        for path, leaf in found.leaves.items():
            if room > 0 or path in limits.named:
                granted[path] = leaf
                room -= 1
        level = found.next if room > 0 else [one for one in found.next if _leads(one[0], limits)]
    place = {path: number for number, path in enumerate(order)}
    return Pinned(_tree(granted, place), docs)


def _usable(at: Path, members: Members, limits: Limits) -> list[tuple[Path, Term]]:
    """Return the members that can be columns; of two names that are one to most engines the first."""
    taken: set[str] = set()
    found = []
    for name, term in members.members.items():
        if limits.usable((*at, name)) and (key := names.key(name)) not in taken:
            taken.add(key)
            found.append(((*at, name), term))
    return found


def _look(path: Path, term: Term, limits: Limits, loose: Leaf | None, found: _Level) -> None:
    what = said(term)
    if isinstance(what, Members):
        if what.members and limits.opens(path):
            found.next.append((path, what))
        else:
            found.leaves[path] = Kind.JSON
    elif what is not None:
        found.leaves[path] = what
    elif loose is not None:
        found.leaves[path] = loose


def _leads(path: Path, limits: Limits) -> bool:
    return any(name[: len(path)] == path for name in limits.named)


def _doc(term: Term) -> str:
    node, text = words(term)
    where = f" [{node.name}#{node.at}]" if node is not None else ""
    return where + (f": {text[:MAX_DOC]}" if text else "")


def _tree(granted: Mapping[Path, Leaf], place: Mapping[Path, int]) -> Branch:
    """Return the columns as a tree, each struct's members in the order of the schema."""
    root: dict[str, object] = {}
    for path, leaf in granted.items():
        inner = root
        for step in path[:-1]:
            inner = inner.setdefault(step, {})  # type: ignore[assignment]
        inner[path[-1]] = leaf

    def made(tree: dict[str, object], at: Path) -> Branch:
        order = sorted(tree, key=lambda name: place[*at, name])
        return Branch(
            {
                name: made(child, (*at, name)) if isinstance(child := tree[name], dict) else child  # type: ignore[misc]
                for name in order
            }
        )

    return made(root, ())
