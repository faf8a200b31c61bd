"""Where a table begins, and where reading goes on: offsets against what the log holds.

Lives here: resolving starts (once, rule 18), the position to go on from (rule 17), expired ones. Not here: Kafka
(source.py), the loop (session.py).
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime

from sinks.source import Expired, Reading, Topic
from sinks.spec import Spec
from sinks.table import state

_AHEAD_LOOKS, _AHEAD_WAIT_S = 10, 0.5


def distance(base: state.Offsets, ends: state.Offsets) -> int:
    """Return how many offsets lie between where a table stands and where reading is."""
    return sum(max(0, at - base.get(topic, {}).get(p, at)) for topic, mine in ends.items() for p, at in mine.items())


def starts(source: Reading, topics: Mapping[str, Topic], spec: Spec) -> state.Offsets:
    """Resolve where every partition begins, for the commit that makes the table."""
    return {
        topic.id: {str(p): source.start(name, p, spec.start_from) for p in range(topic.partitions)}
        for name, topic in topics.items()
    }


def positions(
    source: Reading, topics: Mapping[str, Topic], spec: Spec, offsets: state.Offsets, wait: Callable[[float], None]
) -> tuple[dict[tuple[str, int], int], dict[str, str]]:
    """Return where to read on, and the note of a gap that the stream's owner accepted; raises `Expired` otherwise.

    What came after the table was made (a topic, a partition) is read from its first record, or from the start time.
    `wait` sleeps, and may raise to give up.
    """
    since = spec.start_from if isinstance(spec.start_from, datetime) else "earliest"
    at: dict[tuple[str, int], int] = {}
    lost: dict[str, dict[str, list[int]]] = {}
    for name, topic in topics.items():
        have = offsets.get(topic.id, {})
        for partition in range(topic.partitions):
            position = have.get(str(partition))
            if position is None:
                at[name, partition] = source.start(name, partition, since)
                continue
            low, high = _bounds(source, name, partition, position, wait)
            if not low <= position <= high:
                if not spec.accept_loss:
                    raise Expired(name, partition, position, low, high)
                on = low if position < low else high
                lost.setdefault(topic.id, {})[str(partition)] = [position, on]
                position = on
            at[name, partition] = position
    return at, ({state.LOST + spec.id: json.dumps(lost, sort_keys=True)} if lost else {})


def _bounds(
    source: Reading, topic: str, partition: int, position: int, wait: Callable[[float], None]
) -> tuple[int, int]:
    """Return the log's bounds; asks for 5 s before believing that it ends before `position`.

    A leader just elected may not know the end yet. Believed at once, a stream that accepts losses would go back.
    """
    low, high = source.bounds(topic, partition)
    for _look in range(_AHEAD_LOOKS):
        if position <= high:
            break
        wait(_AHEAD_WAIT_S)
        low, high = source.bounds(topic, partition)
    return low, high
