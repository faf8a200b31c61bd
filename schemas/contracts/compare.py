"""Two versions of a subject: does one take every event that the other takes, and where not, why.

Lives here: the words none, backward, forward, full; breaks with their pointers. Not here: the proof (cover.py), what a
proof stands on (algebra.py). A version is compared with the newest one before it: taking-all-of is transitive, so what
holds from each version to the next holds across all of them. Refused is what is not proven, never the other way round.
Pure; `out_of_time` says when to give up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from schemas.contracts.algebra import Algebra
from schemas.contracts.compile import Asserted, read_schema
from schemas.contracts.cover import Cover
from schemas.contracts.normal import Node, Unlike, draft_of, normal
from schemas.contracts.parts import Way, same

Compatibility = Literal["none", "backward", "forward", "full"]
MAX_BREAKS = 50


@dataclass(frozen=True, slots=True)
class Break:
    """One place where versions part: `pointer` into the candidate, `event`: where in events, `message` for people."""

    pointer: str
    event: str
    message: str


def breaks(
    compatibility: Compatibility, newest: bytes, candidate: bytes, out_of_time: Callable[[], bool] = lambda: False
) -> tuple[Break, ...]:
    """Return where `candidate` breaks a subject whose newest version is `newest`; empty = it may be added.

    backward: it takes every event that `newest` takes. forward: `newest` takes every event that it takes. Formats count
    where the texts are `Asserted`. At most 50. Raises `Refused` for a text that is no schema.
    """
    if compatibility == "none":
        return ()
    old, new = read_schema(newest), read_schema(candidate)
    formats = isinstance(newest, Asserted)
    found: list[Break] = []
    if compatibility in {"backward", "full"}:
        found += _parts(new, old, "backward", formats=formats, out_of_time=out_of_time)
    if compatibility in {"forward", "full"}:
        found += _parts(old, new, "forward", formats=formats, out_of_time=out_of_time)
    return tuple(found[:MAX_BREAKS])


def _parts(wide: Node, narrow: Node, way: Way, *, formats: bool, out_of_time: Callable[[], bool]) -> list[Break]:
    """Return where `wide` is not shown to take all that `narrow` takes."""
    if same(wide, narrow):
        return []
    lower = draft_of(wide) != draft_of(narrow)
    algebra = Algebra(formats=formats)
    try:
        wide_form = normal(wide, lower=lower, formats=formats)
        narrow_form = normal(narrow, lower=lower, formats=formats)
    except Unlike as exc:
        if not lower and algebra.whole(wide, narrow):
            return []
        return [Break("", "", f"{way}: {exc} is not compared: use `$ref` with a pointer, as in `#/$defs/name`")]
    cover = Cover(wide_form, narrow_form, algebra, out_of_time, way=way, most=MAX_BREAKS)
    if lower and draft_of(wide) == 4 and cover.counts_integers():  # noqa: PLR2004 the draft
        return [Break("", "", f"{way}: draft 4 takes no 1.0 for an integer and later drafts do: keep the draft")]
    return [
        Break(one.wide if way == "backward" else one.narrow, one.event, f"{way}: {one.message}") for one in cover.gaps()
    ]
