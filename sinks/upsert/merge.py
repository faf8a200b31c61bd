"""A batch of events against the index: which rows are written, which older ones are hidden, what became of each.

Lives here: the decision, one event after another, as a dict would be filled. Pure: the index is not changed, for the
commit may fail. Of two versions of a key the later one stays: by sequence, then event time, then receive time, then
by which came later in the log.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sinks.upsert.index import Entry, Index, Version, hashed

SUPERSEDED, DELETED, TOMBSTONES, KEYLESS = "superseded", "deleted", "tombstones", "keyless"
HERE = -1
"""The file of an entry that is a row of this batch."""


@dataclass(slots=True)
class Merged:
    """`rows`: numbers of those to write, in order; `hidden`: (file, position) of older rows; `latest`: by hashed key.

    `fresh`: how many keys were never met before. `counts`: events that are no rows, by why: `superseded` by a later
    version, `deleted` by a later tombstone, and `tombstones` themselves; `keyless` ones are rows.
    """

    rows: list[int] = field(default_factory=list)
    hidden: list[tuple[int, int]] = field(default_factory=list)
    latest: dict[bytes, Entry] = field(default_factory=dict)
    fresh: int = 0
    counts: Counter[str] = field(default_factory=Counter)


def decide(
    keys: Sequence[str | None], versions: Sequence[Version], dead: Sequence[bool | None], index: Index
) -> Merged:
    """Return what becomes of a batch in reading order."""
    made = Merged()
    latest: dict[bytes, Entry] = {}
    before: dict[bytes, Entry | None] = {}
    for row, key in enumerate(keys):
        if key is None:
            made.counts[KEYLESS] += 1
            made.rows.append(row)
            continue
        name = hashed(key)
        known = latest.get(name)
        if known is None and name not in before:
            known = before[name] = index.get(name)
        entry = Entry(HERE, row, bool(dead[row]), versions[row])
        if entry.dead:
            made.counts[TOMBSTONES] += 1
        loser, winner = (known, entry) if known is None or entry.version >= known.version else (entry, known)
        if loser is not None and not loser.dead:
            made.counts[DELETED if winner.dead else SUPERSEDED] += 1
        latest[name] = winner
    for name, entry in latest.items():
        if entry.file != HERE:
            continue
        made.latest[name] = entry
        made.rows.append(entry.at)
        older = before[name]
        made.fresh += older is None
        if older is not None and not older.dead:
            made.hidden.append((older.file, older.at))
    made.rows.sort()
    return made
