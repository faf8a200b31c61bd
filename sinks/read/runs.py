"""The runs of a tenant for the audit: read before its clean events, up to where those were decided for good.

Lives here: the order of reading. What readers of what is committed see of a clean topic when the audit begins has all
its runs on their topics by then: they are in the same transaction. The checks: sinks/audit/runs.py.
"""

from collections.abc import Callable, Iterable

from schemas import topics as names
from schemas.definitions.view import Snapshot
from schemas.topics import Kind
from sinks.audit.marks import of_id, pack
from sinks.audit.reading import CleanReading, Event
from sinks.audit.report import RunRow
from sinks.audit.runs import Clean, Runs
from sinks.read.topics import Log
from sinks.source import Topic

Starts = Callable[[Topic, Iterable[tuple[int, int]], int], list[int]]


class RunReading:
    """Reads all run topics of a tenant at once; `met` of each clean topic then hands its events on."""

    def __init__(self, tenant: str, snapshot: Snapshot, platforms: Iterable[str], log: Log, starts: Starts) -> None:
        """Read: `starts` tells from where on a topic is read, given its bounds and a margin in ms."""
        self._log, self._starts = log, starts
        views = snapshot.roles.get(tenant, ())
        self._runs = Runs(tenant, {view.id: view.name for view in views})
        self._floors: dict[Clean, int] = {}
        found = snapshot.topics.values()
        named = sorted(one.name for one in found if one.tenant == tenant and one.kind == Kind.RUN)
        self._ends: dict[str, list[int]] = {}
        if not named:
            return
        clean = log.topics([names.event(tenant, platform) for platform in platforms])
        self._ends = {name: log.stable(topic) for name, topic in clean.items()}
        for topic in log.topics(named).values():
            self._read(topic)
        self._runs.sort()

    def _read(self, topic: Topic) -> None:
        bounds = self._log.bounds(topic)
        starts = self._starts(topic, bounds, 0)
        cut = [partition for partition, start in enumerate(starts) if start]
        for message in self._log.read(topic, starts, [end for _, end in bounds]):
            place = int(message.partition() or 0), int(message.offset() or 0)
            self._runs.take(topic.name, topic.id, cut, place, message.value())

    def met(self, name: str) -> Callable[[Event], None] | None:
        """Return what takes the events of a clean topic as they are read, None when there are no runs."""
        ends = self._ends.get(name)
        if ends is None:
            return None

        def meet(event: Event) -> None:
            if event.partition >= len(ends) or event.offset >= ends[event.partition]:
                return
            where = (name, event.partition, event.raw_id)
            self._runs.meet(
                where, pack(event.at, event.item), of_id(event.event_id), event.source_kind, event.event_type
            )

        return meet

    def over(self, name: str, read: CleanReading) -> None:
        """Say that a clean topic is read."""
        for topic_id, partition in read.topic.places:
            self._floors[name, partition, topic_id] = read.topic.floor(topic_id, partition)

    def rows(self) -> list[RunRow]:
        """Return a row for each assignment that has runs."""
        return self._runs.done(self._floors)
