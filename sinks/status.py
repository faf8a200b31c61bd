"""Where a writer says what it does: the registry keeps it, the API shows it.

Lives here: the port. The shape is the registry's own (volatile rows, no revision).
"""

from collections.abc import Sequence
from typing import Protocol

from schemas.backing.registry import StreamState

__all__ = ["States", "StreamState"]


class States(Protocol):
    """Where states go. Implemented by the registry's `states`."""

    def put(self, many: Sequence[StreamState]) -> None:
        """Store the newest state of each stream; may raise when the database is away."""
