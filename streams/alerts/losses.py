"""What is gone: records that the stage lost (rule 9), and deliveries that a shedding source lost on purpose.

Lives here: sums of what ledgers and edges told, and the two rules over them.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from schemas.definitions.view import Snapshot, SourceView
from schemas.wire.ledger import Ledger
from streams.alerts.finding import Finding, Judged, Now, Open, Standing, instant, level, level_of

QUIET_S = 86_400.0
"""A loss is told for so long after the last one: nothing brings the records back, so nothing else could close it."""
SPENT_HALF = 0.5
_MOST_RANGES = 5
_SAMPLES = 60


@dataclass(slots=True)
class _Lost:
    records: int = 0
    last_ms: int = 0
    ranges: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_MOST_RANGES))


class Losses:
    """The losses of each raw topic, as its ledger records tell them; `note` may be called from another thread."""

    def __init__(self) -> None:
        self._noted: deque[Ledger] = deque(maxlen=10_000)
        self._lost: dict[str, _Lost] = {}

    def note(self, record: Ledger) -> None:
        """Take a ledger record; nearly all of them tell of no loss."""
        if record.lost:
            self._noted.append(record)

    def judge(self, now: Now, standing: Open) -> Judged:
        """Judge whether something of a source was lost within the last day."""
        while self._noted:
            self._take(self._noted.popleft())
        judged: Judged = {}
        for source in now.snapshot.sources.values():
            entity, lost = ("source", source.id), self._lost.get(source.topic)
            if lost is None:
                if (before := standing.get(entity)) is not None and _is_over(now, before):
                    judged[entity] = None
            elif now.at_ms - lost.last_ms >= QUIET_S * 1000:
                del self._lost[source.topic]
                judged[entity] = None
            else:
                judged[entity] = _told(source, lost)
        return judged

    def _take(self, record: Ledger) -> None:
        lost = self._lost.setdefault(record.topic, _Lost())
        lost.last_ms = max(lost.last_ms, record.decided_at_us // 1000)
        for first, following in record.lost:
            lost.records += following - first
            lost.ranges.append(
                {
                    "topic": record.topic,
                    "partition": record.partition,
                    "firstOffset": first,
                    "lastOffset": following - 1,
                }
            )


def _is_over(now: Now, before: Standing) -> bool:
    return now.at_ms - int(before.details.get("lastLostAtMs", 0)) >= QUIET_S * 1000


def _told(source: SourceView, lost: _Lost) -> Finding:
    sample = lost.ranges[-1]
    message = (
        f"source {source.name}: {lost.records} records expired or were cut from its topic before they were "
        f"processed, the last at {instant(lost.last_ms)} (partition {sample['partition']}, offsets "
        f"{sample['firstOffset']} to {sample['lastOffset']}). Have the vendor send that time again; check the brokers' "
        "disks and retention.rawDays"
    )
    details = {
        "source": source.name,
        "lostRecords": lost.records,
        "lastLostAt": instant(lost.last_ms),
        "lastLostAtMs": lost.last_ms,
        "ranges": list(lost.ranges),
        "sample": sample,
    }
    return Finding(source.tenant, "alarm", message, details)


class LossBudget:
    """How much of its loss budget a shedding source has spent, over the last window of its own length."""

    def __init__(self) -> None:
        self._samples: dict[str, deque[tuple[int, int, int]]] = {}

    def judge(self, now: Now, standing: Open) -> Judged:
        """Judge the deliveries that were shed against `overload.shed.lossRatio` of those that were taken."""
        judged: Judged = {}
        watched = shedding(now.snapshot)
        for source_id in self._samples.keys() - watched.keys():
            del self._samples[source_id]
        judged.update(dict.fromkeys(one for one in standing if one[1] not in watched))
        for source_id, source in watched.items():
            if source_id in now.taken:
                judged["source", source_id] = self._of_source(now, source, standing)
        return judged

    def _of_source(self, now: Now, source: SourceView, standing: Open) -> Finding | None:
        shed, entity = source.definition.overload.shed, ("source", source.id)
        accepted, lost = now.taken[source.id]
        samples = self._samples.setdefault(source.id, deque())
        if samples and (accepted, lost) < samples[-1][1:]:
            samples.clear()  # an edge's counters are gone: begin anew
        if len(samples) <= 1 or now.at_ms - samples[-2][0] >= shed.window_seconds * 1000 / _SAMPLES:
            samples.append((now.at_ms, accepted, lost))
        else:
            samples[-1] = now.at_ms, accepted, lost
        while samples[0][0] < now.at_ms - shed.window_seconds * 1000:
            samples.popleft()
        taken, gone = accepted - samples[0][1], lost - samples[0][2]
        budget = shed.loss_ratio * taken
        share = gone / budget if budget else 0.0
        found = level(level_of(standing, entity), share / SPENT_HALF, share)
        if found is None:
            return None
        message = (
            f"source {source.name}: {gone} of {taken} deliveries of the last {shed.window_seconds} s were shed, "
            f"{share:.0%} of its loss budget ({shed.loss_ratio:.2%}); spent, it is refused with 429. Look at what "
            "waits (alerts depth, age), or give it a larger overload.shed.lossRatio"
        )
        details = {"source": source.name, "shed": gone, "taken": taken, "lossRatio": shed.loss_ratio,
                   "spent": round(share, 3), "windowSeconds": shed.window_seconds,
                   "sample": {"find": f"GET /deliveries?source={source.name}&outcome=shed"}}  # fmt: skip
        return Finding(source.tenant, found, message, details)


def shedding(snapshot: Snapshot) -> dict[str, SourceView]:
    """Return the sources that may shed, by id."""
    return {one.id: one for one in snapshot.sources.values() if one.definition.overload.policy == "shed"}
