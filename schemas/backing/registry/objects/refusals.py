"""The rings of refused requests: the newest of each source, from whatever worker refused them.

Lives here: adding to a ring and reading it. Volatile like the tallies: no change rows, no revision; a flush that is
sent twice changes nothing. What an entry says is the edge's (ingress/refusals.py); it comes redacted and bounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Row, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.backing.registry.objects.repository import Rim, page_of
from schemas.backing.registry.record import Page, PageRequest
from schemas.backing.registry.tables import REFUSALS, SOURCES

KEPT = 50
"""Of a source; two workers that flush at one moment may leave a few more until the next flush."""
MAX_ROWS = 1_000
MAX_DOCUMENT = 32 << 10


@dataclass(frozen=True, slots=True)
class Refusals:
    """The repository of refused requests."""

    rim: Rim

    def keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add refused requests and drop what is no longer among the newest of its source.

        A row: `{id, source_id, at_ms, document}`, the document a JSON object of at most 32 KiB. Rows of sources that
        are gone are left out. ValueError past 1,000 rows.
        """
        if len(rows) > MAX_ROWS:
            raise ValueError(f"a flush has at most {MAX_ROWS} rows")
        wanted = sorted({str(row["source_id"]) for row in rows})
        if not wanted:
            return
        with self.rim.database.write() as connection:
            alive = set(connection.execute(select(SOURCES.c.id).where(SOURCES.c.id.in_(wanted))).scalars())
            values = [_values(row) for row in rows if row["source_id"] in alive]
            if not values:
                return
            make = sqlite.insert if self.rim.database.sqlite else postgresql.insert
            connection.execute(make(REFUSALS).on_conflict_do_nothing(index_elements=["id"]), values)
            for source_id in sorted(alive):
                newest = select(REFUSALS.c.id).where(REFUSALS.c.source_id == source_id)
                newest = newest.order_by(REFUSALS.c.at_ms.desc(), REFUSALS.c.id.desc()).limit(KEPT)
                old = delete(REFUSALS).where(REFUSALS.c.source_id == source_id, REFUSALS.c.id.not_in(newest))
                connection.execute(old)

    def list(self, source_id: str, page: PageRequest) -> Page[Mapping[str, Any]]:
        """Return the refused requests of a source, newest first."""
        query = select(REFUSALS).where(REFUSALS.c.source_id == source_id)
        with self.rim.database.read() as connection:
            return page_of(connection, query, REFUSALS.c.at_ms, REFUSALS.c.id, page, _read, newest_first=True)


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    text = orjson.dumps(row["document"]).decode()
    if len(text) > MAX_DOCUMENT:
        raise ValueError(f"an entry has at most {MAX_DOCUMENT} characters")
    return {"id": row["id"], "source_id": row["source_id"], "at_ms": row["at_ms"], "document": text}


def _read(row: Row[Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = orjson.loads(row.document)
    return {"id": row.id, "atMs": row.at_ms, **found}
