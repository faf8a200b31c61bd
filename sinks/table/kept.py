"""What a table says of itself from snapshot to snapshot: kept in summary and property, whoever commits.

Lives here: what a snapshot takes over from the one before it, and what retention has removed. Not here: offsets and the
writer's own totals, which its commits say anew (state.py). As with offsets the nearest snapshot speaks, so a rollback
takes it along; the property speaks where that one has expired. Rule 17.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pyiceberg.table.metadata import TableMetadata

from sinks.table import state

OURS = "hookberg."
RETAINED = "hookberg.retained."
"""What retention has removed since the table's start: `before_ms` and `rows` as JSON."""


@dataclass(frozen=True, slots=True)
class Retained:
    """Rows received before `before_ms` (midnight UTC; 0: never any) may be gone, `rows` of them are."""

    before_ms: int = 0
    rows: int = 0

    def text(self) -> str:
        """Return it as the table keeps it."""
        return json.dumps({"before_ms": self.before_ms, "rows": self.rows}, separators=(",", ":"))


def retained(metadata: TableMetadata, owner_id: str) -> Retained:
    """Return what retention has removed from the table as it is now."""
    said = json.loads(_said(metadata, owner_id).get(RETAINED + owner_id, "{}"))
    return Retained(int(said.get("before_ms", 0)), int(said.get("rows", 0)))


def shortened(metadata: TableMetadata, owner_id: str, before_ms: int, rows: int) -> dict[str, str]:
    """Return what the table says once further rows are gone; an earlier, later cut stays (a clock that went back)."""
    had = retained(metadata, owner_id)
    return {RETAINED + owner_id: Retained(max(had.before_ms, before_ms), had.rows + rows).text()}


def by_the_writer(metadata: TableMetadata, owner_id: str) -> dict[str, str]:
    """Return what the writer's next commit takes over as it stands: what upkeep alone counts."""
    text = _said(metadata, owner_id).get(RETAINED + owner_id)
    return {} if text is None else {RETAINED + owner_id: text}


def by_upkeep(metadata: TableMetadata, owner_id: str) -> dict[str, str]:
    """Return what our last snapshot says that must go on: offsets and running totals, not notes of that commit.

    What goes on stands as a property too, or is the newest event time.
    """
    nearest = state.nearest(metadata, owner_id)
    if nearest is None or nearest.summary is None:
        return {name: text for name, text in metadata.properties.items() if name == state.OFFSETS + owner_id}
    said = nearest.summary.additional_properties
    return {
        name: text
        for name, text in said.items()
        if name.startswith(OURS) and (name in metadata.properties or name == state.NEWEST)
    }


def _said(metadata: TableMetadata, owner_id: str) -> Mapping[str, str]:
    nearest = state.nearest(metadata, owner_id)
    summary = None if nearest is None else nearest.summary
    return metadata.properties if summary is None else summary.additional_properties
