"""Addresses that were resolved before: which target a request is for, by what it says of itself.

Lives here: the memory, for one snapshot of the registry: a newer one begins it anew, so a revoked URL is forgotten with
it. Bounded: MAX_KNOWN addresses of at most MAX_TEXT characters. Only what was found in a snapshot is remembered.
"""

from ingress.arrival import Arrival
from ingress.target import Target
from schemas.definitions.key import PREFIX
from schemas.definitions.view import EMPTY, Snapshot

MAX_KNOWN = 4_096
MAX_TEXT = 512
TENANT = "x-tenant-id"
_Said = tuple[str, str, str | None, str | None]


class Known:
    """Targets by path, query, X-Tenant-Id and API key: all that `resolve` looks at."""

    __slots__ = ("_snapshot", "_targets")

    def __init__(self) -> None:
        self._snapshot: Snapshot = EMPTY
        self._targets: dict[_Said, Target] = {}

    def find(self, arrival: Arrival, snapshot: Snapshot) -> Target | None:
        """Return the target of an equal request before; None when it has to be resolved."""
        if snapshot is not self._snapshot:
            return None
        return self._targets.get(_said(arrival)) if arrival.headers.names.distinct else None

    def remember(self, arrival: Arrival, snapshot: Snapshot, target: Target) -> None:
        """Remember what a request was resolved to in `snapshot`."""
        said = _said(arrival)
        if not arrival.headers.names.distinct or sum([len(text) for text in said if text]) > MAX_TEXT:
            return
        if snapshot is not self._snapshot or len(self._targets) >= MAX_KNOWN:
            self._snapshot = snapshot
            self._targets.clear()
        self._targets[said] = target


def _said(arrival: Arrival) -> _Said:
    by_name = arrival.headers.by_name
    authorization = by_name.get("authorization")
    key = authorization if authorization is not None and PREFIX in authorization else None
    return arrival.path, arrival.query, by_name.get(TENANT), key
