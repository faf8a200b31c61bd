"""The proof that one schema takes every value that another takes, keyword by keyword, with the gaps where it fails.

Lives here: how a question is taken apart. Not here: the algebra that answers the small ones (algebra.py).

A schema is the conjunction of its keywords, so `wide` takes all of `narrow` when each keyword of `wide` does. What the
algebra cannot say at once goes down into members, items, references and branches. Each pair is proven once; a pair met
again inside a value is an induction hypothesis, for values are finite and references that stay at the same value are
refused before (bounds.py). No step chooses between ways to a proof, so one gap anywhere ends all of it. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.contracts.algebra import YES, Algebra
from schemas.contracts.normal import Node, Normal
from schemas.contracts.parts import (
    ALL_TOGETHER,
    Pairs,
    Tags,
    Way,
    flat,
    groups,
    member,
    names_integer,
    opened,
    said,
    stated,
    texts,
    within,
)
from schemas.contracts.places import escape

MAX_STEPS = 20_000
_MOST_BRANCHES = 200
_LATER = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
"""While the wide schema has one of these, the narrow one's branches are kept together: they may be paired."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A place that is not shown to hold: pointers into both documents, into events, and what it is."""

    wide: str
    narrow: str
    event: str
    message: str


class Cover:
    """One proof; `gaps` is empty when it holds."""

    def __init__(
        self, wide: Normal, narrow: Normal, algebra: Algebra, out_of_time: Callable[[], bool], *, way: Way, most: int
    ) -> None:
        self._wide, self._narrow, self._algebra, self._out_of_time = wide, narrow, algebra, out_of_time
        self._way, self._most, self._steps = way, most, 0
        self._seen: set[tuple[int, tuple[int, ...]]] = set()
        self._found: dict[tuple[str, str], Gap] = {}
        self._bared: dict[tuple[int, tuple[str, ...]], Node] = {}
        self._kept: list[object] = []

    def gaps(self) -> list[Gap]:
        """Return what is not shown to hold, at most `most`, each place once."""
        self._whole(self._wide.root, (self._narrow.root,), "", "")
        return list(self._found.values())

    def counts_integers(self) -> bool:
        """Tell whether the wide schema asks for integers anywhere."""
        return any(names_integer(node) for node in (self._wide.root, *self._wide.defs.values()))

    def _whole(self, wide: Node, narrow: Pairs, event: str, near: str) -> None:
        """Show that `wide` takes all that all of `narrow` take, of the values at `event`; else note the gaps."""
        key = id(wide), tuple(sorted({id(node) for node in narrow}))
        if wide is True or wide == {} or key in self._seen or len(self._found) >= self._most:
            return
        self._seen.add(key)
        self._kept.append(narrow)
        self._steps += 1
        if self._steps > MAX_STEPS or self._out_of_time():
            self._gap(near, narrow, event, "the schemas are too large to be compared: split them", key="large")
            return
        if self._takes(wide, narrow) == YES:
            return
        here = near if wide is False else self._wide.origin.get(id(wide), near)
        if wide is False:
            what = event or "any event"
            more = "is not allowed any more" if self._way == "backward" else "was not allowed before"
            self._gap(here, narrow, event, f"{what} {more}")
            return
        narrow = tuple(self._bare(node, ("$ref", "allOf")) for node in opened(self._narrow, narrow))
        if (split := self._branches(narrow)) is not None and not (_LATER & wide.keys()):
            rest, branches = split
            for branch in branches:
                self._whole(wide, (*rest, branch), event, near)
            return
        for group in groups(wide):
            self._group(wide, group, narrow, event, here)

    def _group(self, wide: Mapping[str, Any], group: Sequence[str], narrow: Pairs, event: str, here: str) -> None:
        part = {name: wide[name] for name in group}
        name = group[0]
        if len(group) == 1 and stated(name, wide[name], narrow):
            return
        if self._takes(part, narrow) == YES or self._takes(part, self._shallow(narrow, group)) == YES:
            return
        if name in ALL_TOGETHER:
            self._gap(f"{here}/{name}", narrow, event, said(self._way, name, wide, narrow))
        elif name == "$ref":
            self._whole(self._wide.target(wide["$ref"]), narrow, event, here)
        elif name == "allOf":
            for each in wide["allOf"]:
                self._whole(each, narrow, event, f"{here}/allOf")
        elif "properties" in group or "additionalProperties" in group:
            self._members(wide, narrow, event, here)
        elif name == "items" and len(group) == 1 and isinstance(wide["items"], dict | bool):
            self._items(wide["items"], narrow, event, here)
        elif name in {"anyOf", "oneOf"} and self._paired(wide, name, narrow, event, here):
            return
        else:
            self._gap(f"{here}/{name}", narrow, event, said(self._way, name, wide, narrow))

    def _members(self, wide: Mapping[str, Any], narrow: Pairs, event: str, here: str) -> None:
        named, patterns = wide.get("properties", {}), wide.get("patternProperties", {})
        for name, one in named.items():
            at = f"{here}/properties/{escape(name)}"
            self._whole(one, tuple(member(narrow, name)), f"{event}/{escape(name)}", at)
        if patterns and self._takes({"patternProperties": patterns}, narrow) != YES:
            self._gap(f"{here}/patternProperties", narrow, event, said(self._way, "patternProperties", wide, narrow))
        others = wide.get("additionalProperties", True)
        if others is True or others == {}:
            return
        frame = {"properties": dict.fromkeys(named, True), "additionalProperties": others}
        if patterns:
            frame["patternProperties"] = dict.fromkeys(patterns, True)
        self._kept.append(frame)
        if self._takes(frame, narrow) == YES:
            return
        at = f"{here}/additionalProperties"
        known = {name for node in narrow if isinstance(node, dict) for name in node.get("properties", {})}
        for name in sorted(known - named.keys()):
            if patterns:
                break
            self._whole(others, tuple(member(narrow, name)), f"{event}/{escape(name)}", at)
        rest = [
            node["additionalProperties"]
            for node in narrow
            if isinstance(node, dict) and "additionalProperties" in node and not node.get("patternProperties")
        ]
        if patterns:
            self._gap(at, narrow, event, said(self._way, "additionalProperties", wide, narrow))
        else:
            self._whole(others, tuple(rest) or (True,), f"{event}/*", at)

    def _items(self, wide: Node, narrow: Pairs, event: str, here: str) -> None:
        found = [
            node["items"]
            for node in narrow
            if isinstance(node, dict) and isinstance(node.get("items"), dict | bool) and "prefixItems" not in node
        ]
        self._whole(wide, tuple(found) or (True,), f"{event}/*", f"{here}/items")

    def _paired(self, wide: Mapping[str, Any], name: str, narrow: Pairs, event: str, here: str) -> bool:
        """Show it branch by branch: each of the narrow schema's goes into one of the wide schema's. False = it cannot.

        Of `oneOf` no two branches of the wide schema may take the same value.
        """
        if len(wide[name]) > _MOST_BRANCHES or (name == "oneOf" and not self._all_apart(wide[name])):
            return False
        rest, branches = self._branches(narrow) or (list(narrow), [True])
        tags = [self._tags(self._wide, (each,)) for each in wide[name]]
        chosen = [self._partner(wide[name], tags, branch, rest, index) for index, branch in enumerate(branches)]
        if None in chosen:
            return False
        for index, branch in zip(chosen, branches, strict=True):
            if index is not None:
                self._whole(wide[name][index], (*rest, branch), event, f"{here}/{name}/{index}")
        return True

    def _partner(self, wide: Sequence[Node], tags: Sequence[Tags], branch: Node, rest: Pairs, index: int) -> int | None:
        """Return which of the wide branches may take a narrow one: the one by its name, by its tags, else its place."""
        named = branch.get("$ref") if isinstance(branch, dict) else None
        for place, each in enumerate(wide):
            if named is not None and isinstance(each, dict) and each.get("$ref") == named:
                return place
        own = self._tags(self._narrow, (*rest, branch))
        fitting = [at for at, known in enumerate(tags) if known and within(own, known)]
        if len(fitting) == 1:
            return fitting[0]
        for place, each in enumerate(wide):
            if self._takes(each, (*rest, branch)) == YES:
                return place
        return index if index < len(wide) and branch is not True else None

    def _all_apart(self, branches: Sequence[Node]) -> bool:
        """Tell whether no value fits two of the wide schema's branches: a member tells them apart, or the algebra."""
        tags = [self._tags(self._wide, (each,)) for each in branches]
        plain = [tuple(flat(node, ()) for node in opened(self._wide, (each,))) for each in branches]
        self._kept.append(plain)
        return all(
            any(not (tags[one][name] & tags[other][name]) for name in tags[one].keys() & tags[other].keys())
            or self._algebra.apart(self._wide, plain[one], plain[other])
            or self._algebra.apart(self._wide, (branches[one],), (branches[other],))
            for one in range(len(branches))
            for other in range(one + 1, len(branches))
        )

    def _tags(self, of: Normal, branch: Pairs) -> Tags:
        """Return the members that every value of a branch has, an object, with the few texts that each may be."""
        nodes = [node for node in opened(of, branch) if isinstance(node, dict)]
        found: Tags = {}
        if any(node.get("type") == "object" for node in nodes):
            required = {name for node in nodes for name in node.get("required", ())}
            for node in nodes:
                for name in required & node.get("properties", {}).keys():
                    if (listed := texts(node["properties"][name])) is not None:
                        found[name] = listed
        for node in nodes:
            for options in (node[name] for name in ("anyOf", "oneOf") if name in node):
                each = [self._tags(of, (option,)) for option in options[:_MOST_BRANCHES]]
                common = set.intersection(*(set(one) for one in each)) if len(options) <= _MOST_BRANCHES else set()
                found |= {name: frozenset[str]().union(*(one[name] for one in each)) for name in common}
        return found

    def _branches(self, narrow: Pairs) -> tuple[list[Node], list[Node]] | None:
        """Return the rest and the branches of the first `anyOf` or `oneOf` among the nodes."""
        for place, node in enumerate(narrow):
            for name in ("anyOf", "oneOf"):
                if isinstance(node, dict) and name in node and len(node[name]) <= _MOST_BRANCHES:
                    return [*narrow[:place], self._bare(node, (name,)), *narrow[place + 1 :]], list(node[name])
        return None

    def _bare(self, node: Node, without: tuple[str, ...]) -> Node:
        """Return a node without some keywords: the same object each time, for pairs are known by their objects."""
        if isinstance(node, bool) or not any(name in node for name in without):
            return node
        key = id(node), without
        if key not in self._bared:
            made = {name: value for name, value in node.items() if name not in without and name not in ALL_TOGETHER}
            self._narrow.origin[id(made)] = self._narrow.origin.get(id(node), "")
            self._bared[key] = made
            self._kept.append(node)
        return self._bared[key]

    def _takes(self, wide: Node, narrow: Pairs) -> str:
        self._kept.append((wide, narrow))
        return self._algebra.takes(self._wide, wide, self._narrow, narrow)

    def _shallow(self, narrow: Pairs, group: Sequence[str]) -> Pairs:
        """Return the nodes without what they say of members and items, but for the keywords asked for: they take more.

        So a short question can be asked of large schemas, and its yes holds for them as well.
        """
        kept = [flat(node, group) for node in narrow]
        self._kept.append(kept)
        return kept

    def _gap(self, here: str, narrow: Pairs, event: str, message: str, key: str = "") -> None:
        there = next((self._narrow.origin[id(node)] for node in narrow if id(node) in self._narrow.origin), "")
        place = (key or here, there if self._way == "forward" else "")
        if len(self._found) < self._most and place not in self._found:
            self._found[place] = Gap(here, there, event, message)
