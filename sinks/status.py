"""What a stream's writer says of itself; the registry keeps it, the API shows it.

Lives here: the shape and the port that takes it. The fields are those of the registry's `states` (volatile rows).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.definitions.stream import State
from schemas.reasons import Reason


@dataclass(frozen=True, slots=True)
class StreamState:
    """One stream's state; times in ms since the epoch or in seconds, `positions` {topic id: {partition: next}}."""

    stream_id: str
    state: State
    owner: str
    generation: int
    updated_at_ms: int
    reason: Reason | None = None
    message: str | None = None
    rows: int = 0
    snapshot_id: int | None = None
    sequence_number: int | None = None
    committed_at_ms: int | None = None
    positions: dict[str, dict[str, int]] = field(default_factory=dict)
    lag_records: int | None = None
    lag_s: float | None = None
    freshness_p50_s: float | None = None
    freshness_p95_s: float | None = None
    files: int = 0
    bytes: int = 0
    overflow: int = 0


class States(Protocol):
    """Where states go. Implemented by the registry's `states`."""

    def put(self, many: Sequence[StreamState]) -> None:
        """Store the newest state of each stream; may raise when the database is away."""
