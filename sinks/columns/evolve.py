"""The columns that a table has, brought to those that schemas ask for: new ones, and types that Iceberg may widen.

Lives here: what a pin that has moved does to a table. A column never goes away and never changes but by a legal
promotion; where the schema asks for another type than the column has, what does not fit is kept in `_raw`.
"""

from sinks.columns import kinds, names
from sinks.columns.policy import Limits, Path
from sinks.columns.shape import Branch, Shape, leaves


def evolved(have: Branch, wanted: Branch, limits: Limits) -> Branch:
    """Return `have` with the columns of `wanted` that it lacks, nearest to the root first, and with wider types."""
    room = limits.max_columns - leaves(have)
    missing: list[Path] = []
    level: list[tuple[Path, Shape | None, Branch]] = [((), have, wanted)]
    while level:
        following: list[tuple[Path, Shape | None, Branch]] = []
        for at, old, new in level:
            fields = old.fields if isinstance(old, Branch) else {}
            taken = {names.key(name) for name in fields}
            for name, child in new.fields.items():
                path, mine = (*at, name), fields.get(name)
                if mine is None and names.key(name) in taken:
                    continue
                if isinstance(child, Branch) and (mine is None or isinstance(mine, Branch)):
                    following.append((path, mine, child))
                elif mine is None:
                    missing.append(path)
        level = following
    granted = {path for number, path in enumerate(missing) if number < room or path in limits.named}
    return _grown(have, wanted, (), granted)


def _grown(have: Branch, wanted: Branch, at: Path, granted: set[Path]) -> Branch:
    fields: dict[str, Shape] = dict(have.fields)
    for name, child in wanted.fields.items():
        path, mine = (*at, name), have.fields.get(name)
        if isinstance(child, Branch):
            if mine is None or isinstance(mine, Branch):
                grown = _grown(mine or Branch(), child, path, granted)
                if grown.fields:
                    fields[name] = grown
        elif mine is None:
            if path in granted:
                fields[name] = child
        elif not isinstance(mine, Branch) and kinds.promotes(mine, child):
            fields[name] = child
    return Branch(fields)
