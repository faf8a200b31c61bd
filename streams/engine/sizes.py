"""How large the raw records of each topic are, from a few of them: what waits is told in bytes, too.

Lives here: the estimate. Once a look (agents/pressure.py) a topic's next batch is looked at; the other batches cost one
look-up each. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

UNKNOWN_BYTES = 1024
"""What a record is taken for until one of its topic was seen."""
_SAMPLE = 16
_WEIGHT = 0.2


class Sizes:
    """Mean bytes of a record by topic: values and headers as the client hands them on, not compressed."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._means: dict[str, float] = {}

    def note(self, topic: str, records: Sequence[Any]) -> None:
        """Take a batch; all but a topic's first one after a look are passed over."""
        if topic in self._seen:
            return
        self._seen.add(topic)
        sample = records[:: len(records) // _SAMPLE + 1]
        mean = sum(map(_bytes, sample)) / len(sample)
        before = self._means.get(topic)
        self._means[topic] = mean if before is None else before + _WEIGHT * (mean - before)

    def look(self) -> Mapping[str, float]:
        """Return the means; the next batches are looked at again."""
        self._seen.clear()
        return self._means


def _bytes(record: Any) -> int:  # noqa: ANN401 aiokafka's record
    return len(record.value or b"") + sum(len(name) + len(value or b"") for name, value in record.headers)
