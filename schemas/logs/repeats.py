"""What is said again and again is said a few times a minute, then counted.

Lives here: telling repeats by logger, level, event, reason, source and stream, and their counts. The clock is given.
"""

import logging
from collections.abc import Callable, Iterator

PER_MINUTE = 60
WINDOW_S = 60.0
MOST_KEPT = 2_000
"""Different lines that are watched; of more of them the oldest is forgotten."""
_TELLING = ("reason", "source", "stream")
_Key = tuple[str, int, str, str]


class Repeats:
    """Windows of a minute, one for each different line. Called under the handler's lock."""

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self._most, self._monotonic = most, monotonic
        self._seen: dict[_Key, list[float]] = {}

    def takes(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be written."""
        if not self._most:
            return True
        key = _key(record)
        window = self._seen.get(key)
        if window is None:
            if len(self._seen) >= MOST_KEPT:
                del self._seen[next(iter(self._seen))]
            window = self._seen[key] = [self._monotonic(), 0]
        window[1] += 1
        return window[1] <= self._most

    def over(self, *, everything: bool = False) -> Iterator[logging.LogRecord]:
        """Yield a record for each line whose minute is over and that was left out; forget those minutes."""
        while self._seen:
            key, (since, count) = next(iter(self._seen.items()))
            if not everything and self._monotonic() - since < WINDOW_S:
                return
            del self._seen[key]
            if count > self._most:
                name, level, event, told = key
                text = f"{event} {told}".rstrip()
                made = logging.LogRecord(name, level, "", 0, "line_repeated", None, None)
                made.__dict__.update(of=text, left_out=int(count - self._most), seconds=int(WINDOW_S))
                yield made


def _key(record: logging.LogRecord) -> _Key:
    said = record.msg
    if not isinstance(said, dict):  # a library's: its template, before arguments
        return record.name, record.levelno, str(said)[:200], ""
    told = " ".join(f"{name}={said[name]}" for name in _TELLING if name in said)
    return record.name, record.levelno, str(said.get("event"))[:200], told[:200]
