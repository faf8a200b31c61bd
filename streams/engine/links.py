"""Which record of a partition was handed on before which since the last seek: Faust may lose one and says nothing.

Lives here: the check, pure. Between an assignment and the seek that follows it Faust fetches from wherever the group
stood, empties queues, and marks what was in hand as read: what is counted by offset needs every record, in order.
"""

from faust.types import TP


class GapError(Exception):
    """A record that was fetched did not arrive."""


class Links:
    """The records handed on since the last seek, in the order of their partition."""

    def __init__(self) -> None:
        self._before: dict[tuple[TP, int], int | None] = {}
        self._last: dict[TP, int] = {}
        self._taken: dict[TP, int] = {}

    def clear(self) -> None:
        """Begin anew: what was handed on before a seek comes again."""
        for each in (self._before, self._last, self._taken):
            each.clear()

    def handed(self, tp: TP, offset: int) -> None:
        """Note a record that is handed on."""
        self._before[tp, offset] = self._last.get(tp)
        self._last[tp] = offset

    def taken(self, tp: TP, offset: int) -> bool:
        """Take the record that arrived; False when it was handed on before the last seek and comes again.

        Raises GapError when the one before it has not arrived.
        """
        if (tp, offset) not in self._before:
            return False
        before = self._before.pop((tp, offset))
        if before != self._taken.get(tp):
            raise GapError(f"{tp.topic} {tp.partition}: {before} was handed on before {offset} and did not arrive")
        self._taken[tp] = offset
        return True
