"""Faust's consumer with topics that stay paused, and the group's offsets as decoration for lag tools.

Lives here: what is paused, what Faust's own commit timer is told. Not here: what is read and from where (consumer.py).
Private names of Faust: README.md beside this file.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from schemas.logs import logger

_log = logger(__name__)


class HoldingConsumer(driver.Consumer):
    """Pauses whole topics, and commits no offsets but those that it is told."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 Faust's signature
        super().__init__(*args, **kwargs)
        self._decided: dict[TP, int] = {}
        self._held: frozenset[str] = frozenset()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume partitions but those of paused topics: Faust resumes all after a rebalance."""
        super().resume_partitions({tp for tp in tps if tp.topic not in self._held})

    @property
    def held(self) -> frozenset[str]:
        """Return the topics that are paused."""
        return self._held

    def hold(self, paused: Iterable[str]) -> None:
        """Pause exactly these topics, without a rebalance."""
        before, self._held = self._held, frozenset(paused)
        if before == self._held:
            return
        _log.info("topics_held", topics=sorted(self._held))
        assigned = self.assignment()
        self.pause_partitions({tp for tp in assigned if tp.topic in self._held})
        super().resume_partitions({tp for tp in assigned if tp.topic in before - self._held})

    def committed(self, offsets: Mapping[TP, int]) -> None:
        """Tell which offsets a transaction has committed."""
        self._decided.update(offsets)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ANN401 Faust's signature
        yield from (tp for tp in list(self._decided) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._decided.pop(tp, None)
