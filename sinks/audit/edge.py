"""The edge's sum: counted 2xx <= raw records that are no redrives + handshakes, per source (spec section 7).

Lives here: the comparison. Counters of a killed ingress and lost answers make it unequal: that is printed, no error.
Pure.
"""

from dataclasses import dataclass

from sinks.audit.report import EdgeRow


@dataclass(frozen=True, slots=True)
class Counted:
    """One source: where it writes and what the ingress counted of it. `name` None: the source was deleted."""

    id: str
    tenant: str
    name: str | None
    topic: str
    accepted: int = 0
    handshakes: int = 0


def check(counted: Counted, stored: int, lost: int, left_out: str | None) -> EdgeRow:
    """Return what holds for one source: `stored` records, `lost` offsets of its topic that the stage wrote off.

    `left_out` says why the counters of all time cannot be compared with what the topic holds; None: they can.
    """
    row = EdgeRow(counted.tenant, counted.name or f"{counted.id} (deleted)", counted.topic)
    row.accepted, row.handshakes, row.stored = counted.accepted, counted.handshakes, stored
    if left_out is not None:
        row.notes.append(f"not compared: {left_out}")
    elif counted.name is None:
        row.notes.append("not compared: the counters went with the source")
    elif row.accepted > stored + lost:
        row.findings.add(
            f"source {row.source} of {row.tenant}: {row.accepted} deliveries were answered 2xx, {row.topic} holds "
            f"{stored} of them"
        )
    elif row.accepted > stored:
        row.notes.append(f"{row.accepted - stored} answered 2xx are in offsets written off as lost")
    elif row.accepted < stored:
        row.notes.append(f"{stored - row.accepted} stored and not counted (lost answers, or a killed ingress)")
    return row
