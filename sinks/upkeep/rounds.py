"""One round of compaction: what is chosen, written anew and asked of the table.

Lives here: the two kinds of table, one whose rows are all shown and one whose older rows are hidden. Not here: the
choices (compact.py, hiding.py), the commit (table/replace.py).
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from sinks.table import contents, leftovers, replace, state
from sinks.upkeep import compact
from sinks.upkeep.care import Care, Keyed


@dataclass(frozen=True, slots=True)
class Round:
    """What to commit; None: what was chosen is left as it is."""

    change: replace.Change | None
    files: int = 0
    into: int = 0


def choose(care: Care, table: Table) -> Round | None:
    """Choose and write one round; None: there is none. Files of a round that is not returned are deleted."""
    head = table.metadata.current_snapshot()
    before = [] if head is None else head.manifests(table.io)
    if care.keyed is not None:
        care.keyed.hiding.look(before, table.io, care.check)
        return _keyed(care, care.keyed, table)
    if contents.deletes_of(before):  # an operator's: nobody says what became of the rows
        return None
    chosen = compact.choose(care.inventory.look(before, table.io))
    if not chosen:
        return None
    made = _rewritten(care, table, chosen, None)
    if not made.removed:
        care.inventory.leave(file.file_path for file in chosen)
        return Round(None)
    return Round(replace.Change("compaction", _paths(made.removed), made.added), len(made.removed), len(made.added))


def _keyed(care: Care, keyed: Keyed, table: Table) -> Round | None:
    hiding = keyed.hiding
    chosen = hiding.choose()
    if chosen is None:
        return None
    made = compact.Rewritten()
    if chosen.data:
        hidden = compact.Hidden(hiding.positions(chosen.data, table.io, care.check), keyed.stays)
        made = _rewritten(care, table, chosen.data, hidden)
        if not made.removed:
            hiding.leave(chosen.data)
        hiding.stayed(made.stayed)
    if not made.removed and not chosen.folds:
        return Round(None)
    change = replace.Change(
        "compaction",
        _paths(made.removed),
        made.added,
        settle=hiding.settle(made.move, chosen.folds),
        folds=chosen.folds,
        sending=lambda snapshot_id: keyed.moves.offer(snapshot_id, made.move),
    )
    return Round(change, len(made.removed) + len(chosen.folds), len(made.added))


def _rewritten(
    care: Care, table: Table, chosen: Sequence[DataFile], hidden: compact.Hidden | None
) -> compact.Rewritten:
    metadata, written = state.as_made(table.metadata), leftovers.Recording(table.io)
    try:
        return compact.rewrite(metadata, written, chosen, lambda: str(uuid.uuid4()), care.check, hidden)
    except BaseException:
        leftovers.delete(table.io, written.written)
        raise


def _paths(files: Sequence[DataFile]) -> frozenset[str]:
    return frozenset(file.file_path for file in files)
