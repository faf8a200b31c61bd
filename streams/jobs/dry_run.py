"""The job `streams.dry_run`: what a candidate schema would have said of the newest raw events.

Lives here: which events are judged, by what before and after, the sums. Not here: claiming (runner.py), the process
that it runs in (apart.py), Kafka (tail.py), reading and naming events (parse.py, identify.py: as the stage itself).
Nothing is written but the job's result, which names places and ids and nothing of what events say.

Arguments: `subject`, `schema` (text) with `assertFormats`, or `version`; `sourceId`, `eventType` (glob), `last`,
`revision` of the registry that it was asked at.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.contracts import Asserted, Contract, Library, compile_schema
from schemas.definitions.job import Job
from schemas.definitions.source import matches
from schemas.definitions.view import Snapshot
from schemas.errors import Refused
from schemas.ports import Clock
from schemas.reasons import Reason
from schemas.wire.raw import RawRecord
from streams.identify import Event, identify
from streams.jobs.runner import Beat, Work
from streams.jobs.tail import Tail
from streams.judge import Adapter
from streams.parse import parse
from streams.sources import Source, Sources
from streams.validate import denied, validate

PORTION, PORTION_BYTES = 200, 16 << 20
"""Raw records, and their bytes, judged between two beats."""
MAX_SAMPLES, MAX_PLACES = 20, 50
_VERDICTS = {(True, False): "newlyFailing", (False, True): "newlyPassing", (True, True): "stillPassing",
             (False, False): "stillFailing"}  # fmt: skip
Place = tuple[str, str, str, str]


def of(snapshot: Snapshot, kafka: Mapping[str, Any], adapter: Adapter, clock: Clock) -> Work:
    """Return the work of a process that does one dry run (apart.py)."""
    return DryRunner(snapshot, adapter, lambda topic: Tail(kafka, topic, clock.monotonic), clock)


class Topic(Protocol):
    """The newest records of a raw topic: tail.Tail, or a test's own."""

    def newest(self, count: int, now_ms: int) -> tuple[int, Iterator[RawRecord]]:
        """Return how many there are, and they themselves."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(slots=True)
class Sums:
    """What was found so far."""

    topics: list[dict[str, Any]] = field(default_factory=list)
    records: int = 0
    events: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    not_judged: Counter[str] = field(default_factory=Counter)
    places: Counter[Place] = field(default_factory=Counter)
    more_places: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)

    def told(self, candidate: str) -> dict[str, Any]:
        """Return the job's result."""
        shown = sorted(self.places.items(), key=lambda pair: (-pair[1], pair[0]))
        return {
            "candidate": candidate,
            "topics": self.topics,
            "records": self.records,
            "events": self.events,
            "judged": sum(self.verdicts.values()),
            **{name: self.verdicts[name] for name in _VERDICTS.values()},
            "notJudged": dict(self.not_judged),
            "places": [
                {"verdict": verdict, "eventType": kind, "pointer": pointer, "message": message, "count": count}
                for (verdict, kind, pointer, message), count in shown
            ],
            "morePlaces": self.more_places,
            "samples": self.samples,
        }


class DryRunner:
    """Does dry runs with the definitions of one snapshot; `topic` opens the newest records of a raw topic by name."""

    def __init__(self, snapshot: Snapshot, adapter: Adapter, topic: Callable[[str], Topic], clock: Clock) -> None:
        self._snapshot, self._adapter, self._topic, self._clock = snapshot, adapter, topic, clock

    def __call__(self, job: Job, beat: Beat) -> Mapping[str, Any]:
        """Do one dry run; raises `Refused` when its source, subject or version is gone."""
        snapshot, given = self._snapshot, job.arguments
        candidate, name = _candidate(snapshot, job)
        sources = _sources(snapshot, job)
        wanted = _Wanted(str(given["subject"]), given.get("eventType"), frozenset(source.id for source in sources))
        topics = sorted({source.topic for source in sources if _may_match(source.definition.pins, wanted)})
        sums, judge = Sums(), _Judge(self._adapter, snapshot, wanted, candidate)
        for done, topic in enumerate(topics):
            self._one(topic, int(given["last"]), judge, sums, _Part(beat, done, len(topics)))
        return sums.told(name)

    def _one(self, name: str, last: int, judge: "_Judge", sums: Sums, beat: "_Part") -> None:
        beat(0.0)
        topic = self._topic(name)
        try:
            count, records = topic.newest(last, self._clock.time_ns() // 1_000_000)
            sums.topics.append({"topic": name, "records": count})
            portion, size = list[RawRecord](), 0
            for read, record in enumerate(records, 1):
                portion.append(record)
                size += len(record.value)
                if len(portion) >= PORTION or size >= PORTION_BYTES:
                    judge.add(portion, sums)
                    portion, size = [], 0
                    beat(min(1.0, read / max(1, count)))
            judge.add(portion, sums)
        finally:
            topic.close()


@dataclass(frozen=True, slots=True)
class _Part:
    """Beats for one topic of several."""

    beat: Beat
    done: int
    of: int

    def __call__(self, share: float) -> None:
        self.beat((self.done + share) / self.of)


@dataclass(frozen=True, slots=True)
class _Wanted:
    subject: str
    glob: str | None
    sources: frozenset[str]

    def takes(self, event_type: str, pin: str | None) -> bool:
        """Tell whether an event is one to be judged."""
        if self.glob is not None:
            return matches(self.glob, event_type)
        return pin is not None and pin.rpartition("@")[0] == self.subject


class _Judge:
    """Judges events by what is pinned now and by the candidate."""

    def __init__(self, adapter: Adapter, snapshot: Snapshot, wanted: _Wanted, candidate: Contract) -> None:
        self._adapter, self._snapshot, self._wanted, self._candidate = adapter, snapshot, wanted, candidate
        self._sources, self._contracts = Sources().at(snapshot.sources), Library()

    def add(self, records: list[RawRecord], sums: Sums) -> None:
        """Judge records and add what was found."""
        for delivery in parse(records, self._sources, 0):
            sums.records += 1
            if delivery.source is None or delivery.source.id not in self._wanted.sources:
                continue
            if delivery.meta is not None and (delivery.meta.redrive is not None or delivery.meta.shed is not None):
                sums.not_judged["redriven" if delivery.meta.redrive is not None else "shed"] += 1
                continue
            for event in identify([delivery], self._adapter, ""):
                sums.events += 1
                self._event(event, delivery.source, sums)

    def _event(self, event: Event, source: Source, sums: Sums) -> None:
        pin = source.ruling(event.event_type)[1]
        if event.fault is not None:
            sums.not_judged["unreadable"] += 1
        elif not self._wanted.takes(event.event_type, pin):
            sums.not_judged["otherType"] += 1
        elif event.control or denied(event, source):
            sums.not_judged["notWanted"] += 1
        else:
            before = validate(event, source, self._snapshot.schemas, self._contracts)
            found = self._candidate.validate(event.item.value)
            verdict = _VERDICTS[before.fault is None and before.drop is None, found is None]
            sums.verdicts[verdict] += 1
            if verdict != "stillPassing":
                old = None if before.fault is None else (before.fault.pointer, before.fault.message)
                self._note(event, verdict, pin, found or old or ("", "dropped: nothing is pinned"), sums)

    def _note(self, event: Event, verdict: str, pin: str | None, fault: tuple[str, str], sums: Sums) -> None:
        place = verdict, event.event_type, *fault
        if place in sums.places or len(sums.places) < MAX_PLACES:
            sums.places[place] += 1
        else:
            sums.more_places += 1
        if verdict == "stillFailing" or sum(each["verdict"] == verdict for each in sums.samples) >= MAX_SAMPLES:
            return
        meta, record = event.delivery.meta, event.delivery.record
        sums.samples.append(
            {
                "verdict": verdict,
                "eventId": event.event_id,
                "deliveryId": None if meta is None else meta.delivery_id,
                "vendorEventId": event.vendor_event_id,
                "eventType": event.event_type,
                "pinned": pin,
                "pointer": fault[0],
                "message": fault[1],
                "position": {"partition": record.partition, "offset": record.offset, "item": event.item.number},
            }
        )


def _candidate(snapshot: Snapshot, job: Job) -> tuple[Contract, str]:
    given, subject = job.arguments, str(job.arguments["subject"])
    if "version" in given:
        name = f"{subject}@{given['version']}"
        text = snapshot.schemas.get((job.tenant_id, name))
        if text is None:
            raise Refused(Reason.NOT_FOUND, f"there is no {name} any more")
        return compile_schema(text), name
    text = str(given["schema"]).encode()
    return compile_schema(Asserted(text) if given.get("assertFormats") else text), subject


def _sources(snapshot: Snapshot, job: Job) -> list[Any]:
    wanted = job.arguments.get("sourceId")
    found = [
        source for source in snapshot.sources.values() if source.tenant == job.tenant_id and wanted in {None, source.id}
    ]
    if wanted is not None and not found:
        raise Refused(Reason.NOT_FOUND, "the source was deleted before its events were tried")
    return found


def _may_match(pins: Mapping[str, str], wanted: _Wanted) -> bool:
    """Tell whether a source can have events to be judged; its topic need not be read otherwise."""
    return wanted.glob is not None or any(pin.rpartition("@")[0] == wanted.subject for pin in pins.values())
