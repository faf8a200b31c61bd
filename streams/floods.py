"""When a source counts as degraded: too large a share of its events in quarantine, or too many in a row.

Lives here: the sums of each source, told once a ledger record, and the two thresholds with their
hysteresis. Not here: telling people (agents/flooding.py). Pure: no Kafka, no disk, no clock; README.md, Floods.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.definitions.source import Flood
from schemas.definitions.view import SourceView

HALF_LIFE = 50
"""Events: one that lies so far back counts half."""
LEAST = 20
"""Events that a share is made of at least, and that must be clean in a row before a streak is over at most."""
_OLDER = 0.5 ** (1 / HALF_LIFE)
_MOST = 1_000_000_000


@dataclass(slots=True)
class Health:
    """How a source does: decayed numbers of its events and of those in quarantine, the two streaks, since its start."""

    weight: float = 0.0
    bad: float = 0.0
    seen: int = 0
    failed_in_a_row: int = 0
    clean_in_a_row: int = 0

    def take(self, clean: int, failed: int) -> None:
        """Take what became of a source's events in one transaction; a clean one ends the run of failures."""
        events = clean + failed
        if not events:
            return
        decay = _OLDER ** min(events, _MOST)
        fresh = (1 - decay) / (1 - _OLDER)
        self.weight = self.weight * decay + fresh
        self.bad = self.bad * decay + fresh * failed / events
        self.seen = min(_MOST, self.seen + events)
        self.failed_in_a_row = 0 if clean else min(_MOST, self.failed_in_a_row + failed)
        self.clean_in_a_row = 0 if failed else min(_MOST, self.clean_in_a_row + clean)

    @property
    def share(self) -> float:
        """Return the share of late events that went to quarantine."""
        return self.bad / self.weight if self.weight else 0.0

    def floods(self, flood: Flood) -> bool:
        """Tell whether a threshold is passed."""
        by_share = flood.ratio is not None and self.seen >= LEAST and self.share >= flood.ratio
        return by_share or (flood.streak is not None and self.failed_in_a_row >= flood.streak)

    def well(self, flood: Flood) -> bool:
        """Tell whether a source that was flooded is well again: under half the share, and a run of clean events."""
        by_share = flood.ratio is None or (self.seen >= LEAST and self.share < flood.ratio / 2)
        return by_share and (flood.streak is None or self.clean_in_a_row >= min(flood.streak, LEAST))


class Turn(NamedTuple):
    """A source that began to flood, still does (`details` anew), or is well again (`open` False)."""

    source_id: str
    tenant: str
    open: bool
    message: str
    details: dict[str, Any]


class Floods:
    """The sources of a group; `note` is called once a transaction, `turns` now and then."""

    def __init__(self) -> None:
        self._health: dict[str, Health] = {}
        self._noted: set[str] = set()
        self._samples: dict[str, Mapping[str, Any]] = {}
        self.open: set[str] = set()

    def note(self, failures: Mapping[str, tuple[int, int]]) -> None:
        """Take how many events of each source became clean and went to quarantine in one transaction."""
        for source_id, (clean, failed) in failures.items():
            health = self._health.get(source_id)
            if health is None:
                health = self._health[source_id] = Health()
            health.take(clean, failed)
            self._noted.add(source_id)

    def sample(self, source_id: str, place: Mapping[str, Any]) -> None:
        """Take where an event stands that went to quarantine."""
        self._samples[source_id] = place

    def turns(self, sources: Mapping[str, SourceView]) -> Iterator[Turn]:
        """Yield what is to be told; the caller puts into `open` what it has told, so what fails is yielded again."""
        for source_id in [*self._noted, *self.open.difference(self._noted)]:
            source, health = sources.get(source_id), self._health.get(source_id, Health())
            flood = Flood() if source is None else source.definition.flood
            if source is None or (flood.ratio is None and flood.streak is None):
                if source_id in self.open:
                    yield Turn(source_id, "", open=False, message="", details={})
                self._forget(source_id, gone=source is None)
            elif source_id in self.open:
                if health.well(flood):
                    yield Turn(source_id, source.tenant, open=False, message="", details={})
                elif source_id in self._noted:
                    yield _flooded(source, health, flood, self._samples.get(source_id))
            elif health.floods(flood):
                yield _flooded(source, health, flood, self._samples.get(source_id))
            self._noted.discard(source_id)

    def again(self, source_id: str) -> None:
        """Have a source looked at again: it could not be told."""
        self._noted.add(source_id)

    def _forget(self, source_id: str, *, gone: bool) -> None:
        if gone:
            self._health.pop(source_id, None)
            self._samples.pop(source_id, None)


def _flooded(source: SourceView, health: Health, flood: Flood, sample: Mapping[str, Any] | None) -> Turn:
    share, row = round(health.share, 3), health.failed_in_a_row
    details = {
        "level": "alarm", "source": source.name, "share": share, "inARow": row, "ratio": flood.ratio,
        "streak": flood.streak, "sample": sample,
    }  # fmt: skip
    message = (
        f"source {source.name}: {share:.0%} of its events go to quarantine, {row} in a row. Look why (GET "
        f"/quarantine?source={source.name}), mend the pin or the sender, then redrive"
    )
    return Turn(source.id, source.tenant, open=True, message=message, details=details)
