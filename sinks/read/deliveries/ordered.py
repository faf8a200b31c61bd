"""The records of one raw offset in an output partition: found by halving, since the stage writes in raw order.

Lives here: the search over clean and quarantine partitions. Output partition = source partition, order kept (spec
section 3), so the raw offsets of a partition's records never go down.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from confluent_kafka import Message

from sinks.read.deliveries.budget import Budget
from sinks.read.deliveries.log import Log, Place

NEAR = 200
"""Records that are read one after another rather than halved further."""
_FIRST_STRIDE, _GROWTH = 256, 16
KeyOf = Callable[[Message], int | None]
"""The raw offset that a record is of, None for a record of nobody."""


@dataclass(slots=True)
class Found:
    """Records of one raw offset. `before_ms`: time of the record before them; `later`: one after them was seen.

    `first_kept`: the log's first record is already of a later raw offset, so what was before is gone.
    """

    messages: list[Message] = field(default_factory=list)
    before_ms: int | None = None
    later: bool = False
    first_kept: bool = False


def find(log: Log, place: Place, span: tuple[int, int], wanted: int, key_of: KeyOf, hint: int, budget: Budget) -> Found:
    """Return the records of raw offset `wanted` in `span` (first offset kept, committed end); `hint` is where to try.

    Reads about log2 of the partition's records, fewer when the hint is near.
    """
    found = Found()
    low = _narrow(log, place, span, wanted, key_of, hint, budget, found)
    first = True
    with closing(log.read({place: (low, span[1])}, budget)) as reading:
        for message in reading:
            key = key_of(message)
            if key is None:
                continue
            if key > wanted:
                found.later = True
                found.first_kept = first and low == span[0] and span[0] > 0
                break
            first = False
            if key == wanted:
                found.messages.append(message)
            else:
                found.before_ms = message.timestamp()[1]
    return found


def _narrow(
    log: Log, place: Place, span: tuple[int, int], wanted: int, key_of: KeyOf, hint: int, budget: Budget, found: Found
) -> int:
    """Return an offset at most some `NEAR` records before the first one of `wanted`; all before are of earlier ones."""
    low, high = span
    for probe in _probes(span, hint):
        if not low <= probe < high:
            continue
        key, message = _key_at(log, place, probe, high, key_of, budget)
        if message is not None and key is not None and key < wanted:
            low, found.before_ms = int(message.offset() or 0) + 1, message.timestamp()[1]
        else:
            high = probe
            break
    while high - low > NEAR and not budget.spent:
        middle = (low + high) // 2
        key, message = _key_at(log, place, middle, high, key_of, budget)
        if message is not None and key is not None and key < wanted:
            low, found.before_ms = int(message.offset() or 0) + 1, message.timestamp()[1]
        else:
            high = middle
    return low


def _probes(span: tuple[int, int], hint: int) -> Iterator[int]:
    yield hint
    stride = _FIRST_STRIDE
    while hint + stride < span[1]:
        yield hint + stride
        stride *= _GROWTH


def _key_at(
    log: Log, place: Place, start: int, end: int, key_of: KeyOf, budget: Budget
) -> tuple[int | None, Message | None]:
    """Return the first record of `start`..`end`-1 that is somebody's, with its raw offset."""
    with closing(log.read({place: (start, end)}, budget)) as reading:
        for message in reading:
            key = key_of(message)
            if key is not None:
                return key, message
    return None, None
