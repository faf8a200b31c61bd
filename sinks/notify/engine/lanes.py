"""Which lanes have work now, found without looking at the others. Pure.

Lives here: a heap of due times over the lanes that wait, and what is remembered of a lane: its circuit, whether it is
busy. A lane that waits for nothing and failed nothing is forgotten: a few words each are all that memory holds.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from schemas.definitions.notification import Lane
from sinks.notify.engine.circuit import Circuit


@dataclass(slots=True)
class Standing:
    """What is remembered of a lane; `due_ms` None = nothing waits."""

    circuit: Circuit
    due_ms: int | None = None
    busy: bool = False
    asleep: bool = False
    failed_at: str = ""
    """The endpoint that failed last."""
    entered_ms: int | None = field(default=None, repr=False)
    """The time of its valid entry in the heap; None = none."""

    def ready_ms(self) -> int | None:
        """Return when it may be worked on; None = not before something changes."""
        if self.due_ms is None or self.busy or self.asleep:
            return None
        return max(self.due_ms, self.circuit.probe_at_ms) if self.circuit.open else self.due_ms


class Lanes:
    """All lanes with work; `circuit()` makes a closed circuit."""

    def __init__(self, circuit: Callable[[], Circuit]) -> None:
        self._circuit = circuit
        self._all: dict[Lane, Standing] = {}
        self._heap: list[tuple[int, Lane]] = []

    def __len__(self) -> int:
        """Return how many lanes are remembered."""
        return len(self._all)

    def items(self) -> Iterable[tuple[Lane, Standing]]:
        """Return all that is remembered."""
        return tuple(self._all.items())

    def of(self, lane: Lane) -> Standing:
        """Return what is remembered of a lane, made when there is nothing."""
        found = self._all.get(lane)
        if found is None:
            found = self._all[lane] = Standing(self._circuit())
        return found

    def moved(self, due: Mapping[Lane, int], *, nudged: bool = False) -> None:
        """Hear of new work, never later than what is known; `nudged`: a probe may be made now."""
        for lane, due_ms in due.items():
            standing = self.of(lane)
            standing.due_ms = due_ms if standing.due_ms is None else min(standing.due_ms, due_ms)
            if nudged:
                standing.circuit.nudge()
            self._enter(lane, standing)

    def take(self, now_ms: int, most: int, endpoint: Callable[[Lane], str | None]) -> list[Lane]:
        """Return up to so many lanes that may be worked on, those that wait longest first; they are busy then.

        A lane without an endpoint sleeps: its webhook is disabled or gone, or its receiver is. `wake` ends it.
        """
        taken: list[Lane] = []
        while self._heap and len(taken) < most and self._heap[0][0] <= now_ms:
            at_ms, lane = heapq.heappop(self._heap)
            standing = self._all.get(lane)
            if standing is None or standing.entered_ms != at_ms:
                continue
            standing.entered_ms = None
            ready_ms = standing.ready_ms()
            if ready_ms is None:
                continue
            if ready_ms > now_ms:
                self._enter(lane, standing)
                continue
            if endpoint(lane) is None:
                standing.asleep = True
                continue
            standing.busy, standing.due_ms = True, None
            taken.append(lane)
        return taken

    def release(self, lane: Lane, due_ms: int | None) -> None:
        """Let a lane be free again; `due_ms`: when it has work, beside what came meanwhile."""
        standing = self.of(lane)
        standing.busy = False
        if due_ms is not None:
            self.moved({lane: due_ms})
        else:
            self._enter(lane, standing)

    def wake(self, endpoint: Callable[[Lane], str | None]) -> None:
        """Look again at who sleeps, and close the circuits of lanes that lead elsewhere now."""
        for lane, standing in self.items():
            now_at = endpoint(lane)
            if now_at is None:
                continue
            if standing.asleep or standing.failed_at not in {"", now_at}:
                standing.circuit.succeeded()
                standing.failed_at = ""
            standing.asleep = False
            self._enter(lane, standing)

    def next_ms(self) -> int | None:
        """Return when the next lane may be worked on; None = not before something changes."""
        while self._heap:
            at_ms, lane = self._heap[0]
            standing = self._all.get(lane)
            if standing is not None and standing.entered_ms == at_ms:
                return at_ms
            heapq.heappop(self._heap)
        return None

    def _enter(self, lane: Lane, standing: Standing) -> None:
        """Put a lane into the heap at its time, or forget it."""
        ready_ms = standing.ready_ms()
        if ready_ms is None:
            standing.entered_ms = None
            if standing.due_ms is None and not standing.busy and not standing.circuit.failures:
                del self._all[lane]
        elif ready_ms != standing.entered_ms:
            standing.entered_ms = ready_ms
            heapq.heappush(self._heap, (ready_ms, lane))
