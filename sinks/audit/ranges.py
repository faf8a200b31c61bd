"""The offset ranges of a raw partition's ledger: one after another, without gap or overlap (rules 9 and 14).

Lives here: what ranges prove by themselves. A truncated log (rule 9) uses offsets twice; they are told as `reused`.
Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.wire.position import Position
from sinks.audit.ledger import Said
from sinks.audit.report import Findings

Span = tuple[int, int]


@dataclass(slots=True)
class Ranges:
    """`gone`: written off before anything was decided; `reused`: decided, lost with the log's tail, and used again."""

    first: int = 0
    end: int = 0
    gone: list[Span] = field(default_factory=list)
    reused: list[Span] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Return how many offsets were written off."""
        return sum(end - start for start, end in (*self.gone, *self.reused))


def walk(said: Said, *, whole: bool, findings: Findings) -> Ranges:
    """Follow the ranges; `whole`: the ledger still has its first record, so it must begin at offset 0."""
    found = Ranges(0 if whole or not said.firsts else said.firsts[0])
    expected = found.first
    for n, (first, following) in enumerate(zip(said.firsts, said.nexts, strict=True)):
        written_off = said.lost.get(n, [])
        back = [span for span in written_off if span[1] > following or span[0] < expected]
        found.gone += [span for span in written_off if span not in back]
        found.reused += [(start, min(end, expected)) for start, end in back]
        where = Position(said.topic_id, said.partition, min(first, expected), 0)
        if first > expected:
            findings.add(f"no ledger record covers offsets {expected} to {first - 1}", where)
        elif first < expected and not any(start <= first for start, _ in back):
            findings.add(f"two ledger records cover offsets {first} to {min(expected, following) - 1}", where)
        expected = following if back else max(expected, following)
    found.end = expected
    found.gone, found.reused = merged(found.gone), merged(found.reused)
    return found


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that touch as one, empty ones left out."""
    made: list[Span] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        else:
            made.append((start, end))
    return made


def inside(offset: int, spans: Iterable[Span]) -> bool:
    """Tell whether an offset is in one of a few spans."""
    return any(start <= offset < end for start, end in spans)


def outside(start: int, end: int, spans: Iterable[Span]) -> list[Span]:
    """Return what of `start`..`end`-1 is in none of the merged spans."""
    made, at = [], start
    for low, high in spans:
        if low >= end:
            break
        if low > at:
            made.append((at, low))
        at = max(at, high)
    return [*made, (at, end)] if at < end else made
