"""Which partitions are suspect: the process died while it decided them, three times from the same position (rule 13).

Lives here: the count in the group's state folder and the offsets that it makes suspect. Not here: how a suspect record
is tried (trial.py), what is in hand (hand.py). A wiped disk begins the count anew: three more starts, nothing else.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from schemas.logs import logger
from streams.hand import Held

STARTS = 3
"""Starts from one position that end inside a decision before the partition is suspect."""
MAX_ENTRIES = 64
_log = logger(__name__)


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets `first`..`end`-1 of a raw partition, with how many `starts` from `position` ended among them.

    `alone` is the one record that the last of them had in hand after it was tried in a child, `alone_starts` how often
    in turn.
    """

    topic_id: str
    partition: int
    position: int
    starts: int
    first: int
    end: int
    alone: int = -1
    alone_starts: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """Return (topic id, partition)."""
        return self.topic_id, self.partition

    def covers(self, offset: int) -> bool:
        """Tell whether a record must be tried in a child before it is decided here."""
        return self.starts >= STARTS and self.first <= offset < self.end

    def condemns(self, offset: int) -> bool:
        """Tell whether a record is poison though its child lived: deciding it here ended three more starts."""
        return self.covers(offset) and offset == self.alone and self.alone_starts >= STARTS


_DECODER = msgspec.json.Decoder(list[Suspect])


def note(path: Path, left: Held | None, positions: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], Suspect]:
    """Count this start, write the count to `path` and return what is suspect, by partition.

    `left` is what the process before had in hand when it died, `positions` where each raw partition stands now (absent:
    0). A partition that has moved since is forgotten. Blocks; raises OSError when the folder cannot be written.
    """
    kept = {one.key: one for one in _load(path) if positions.get(one.key, 0) == one.position}
    if left is not None:
        kept[left.partition] = _again(kept.pop(left.partition, None), left, positions.get(left.partition, 0))
    entries = list(kept.values())[-MAX_ENTRIES:]
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(entries))
    part.replace(path)
    found = {one.key: one for one in entries if one.starts >= STARTS}
    for one in found.values():
        _log.error(
            "partition_suspect", topic_id=one.topic_id, partition=one.partition, first=one.first, next=one.end,
            starts=one.starts, why="the process died deciding these records; each is tried in a child process first",
        )  # fmt: skip
    return found


def _again(before: Suspect | None, left: Held, position: int) -> Suspect:
    topic_id, partition = left.partition
    if before is None:
        return Suspect(
            topic_id=topic_id, partition=partition, position=position, starts=1, first=left.first, end=left.end
        )
    alone, alone_starts = -1, 0
    if before.covers(left.first) and left.end == left.first + 1:
        alone, alone_starts = left.first, before.alone_starts + 1 if before.alone == left.first else 1
    return Suspect(
        topic_id=topic_id,
        partition=partition,
        position=position,
        starts=before.starts + 1,
        first=min(before.first, left.first),
        end=max(before.end, left.end),
        alone=alone,
        alone_starts=alone_starts,
    )


def _load(path: Path) -> list[Suspect]:
    try:
        return _DECODER.decode(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as exc:
        _log.warning("starts_unreadable", error=str(exc), what="the count begins anew")
        return []
