"""Fetched records, cut into what is decided at once, and the pace of fetching.

Lives here: sizes, pauses, holes. Not here: what a gap means (consumer.py). Pure.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from schemas.wire.raw import RawRecord

CHUNK_RECORDS = 200
_CHUNK_BYTES = 4 << 20
_FULL_RECORDS = 1_000
_PAUSE_S, _PARTITION_PAUSE_S, _MOST_PAUSE_S = 0.01, 0.000_1, 0.1


def contiguous(records: Sequence[Any]) -> int:
    """Return how many of a partition's records, at least one, follow one another without a missing offset."""
    first, count = records[0].offset, len(records)
    if records[-1].offset - first < count:
        return count
    return next(at for at in range(1, count) if records[at].offset != first + at)


def pause_s(taken: int, partitions: int) -> float:
    """Return how long to wait before more is taken: 0 while there is a backlog.

    A fetch names every partition and goes out anew when its records are taken; few records at a time would cost a
    fetch each. A commit interval is longer than any pause.
    """
    return 0.0 if taken >= _FULL_RECORDS else min(_MOST_PAUSE_S, _PAUSE_S + partitions * _PARTITION_PAUSE_S)


def chunks(records: list[Any]) -> Iterator[tuple[RawRecord, ...]]:
    """Cut fetched records into what is decided at once: bounded in number and in bytes."""
    chunk: list[RawRecord] = []
    size = 0
    for record in records:
        value = record.value or b""
        chunk.append(RawRecord(record.partition, record.offset, record.timestamp, value, tuple(record.headers)))
        size += len(value)
        if len(chunk) >= CHUNK_RECORDS or size >= _CHUNK_BYTES:
            yield tuple(chunk)
            chunk, size = [], 0
    if chunk:
        yield tuple(chunk)
