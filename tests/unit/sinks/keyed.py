"""An upsert table without its tail: batches and looks of upkeep, one inside the other's commit where a test wants it.

Lives here: set-up, the table as a dict would hold it, and what must always be true of files, deletes and index. All in
the caller's thread, so who comes first is no luck.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from sinks.table import commit, contents, create, deletes, schema, state
from sinks.table.moves import Moves
from sinks.table.partitions import Arrangement
from sinks.upkeep.care import Keyed
from sinks.upkeep.keeper import Keeper
from sinks.upsert import scalars
from sinks.upsert.index import hashed
from sinks.upsert.indexed import Indexed
from sinks.upsert.lasting import Lasting
from sinks.upsert.rebuild import rebuild
from sinks.upsert.room import Room
from sinks.upsert.upserting import Upserting
from tests.fakes.clock import ManualClock
from tests.unit.sinks.ground import NAME, STREAM, GatedCatalog

Event = tuple[int | None, int | None, bool]
"""(key, sequence, whether it deletes the key)."""
AT_US = 1_700_000_000_000_000


class Table:
    """One upsert table, its writer and its keeper."""

    def __init__(self, folder: Path, *, grace_s: float = 100.0, arrangement: Arrangement | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.clock = folder, ManualClock()
        self.catalog = GatedCatalog(folder)
        self.first = schema.events(keyed=True)
        self.table = create.take(
            self.catalog, NAME, self.first, STREAM, lambda: {"T": {"0": 0}}, arrangement or Arrangement(())
        )
        self.moves, self.room = Moves(), Room(1 << 40).share()
        self.keeper = Keeper(self.catalog, self.clock, lambda: 0.5, grace_s)
        self.care = self.keeper.open(NAME, STREAM, keyed=Keyed(self.moves, Lasting(self.first)))
        self.writing = self.session()
        self.events: list[Event] = []
        self.rebuilt = 0
        self._acts: list[Callable[[], None]] = []
        self._real = self.catalog.commit_table
        patched: Any = self.catalog
        patched.commit_table = self._commit_table

    def session(self) -> Upserting:
        """Return what the next session of the writer has: it knows nothing."""
        self.table.refresh()
        return Upserting(self.first, STREAM, self.table.metadata, self._check, self.moves, self.room)

    def _check(self) -> None:
        self.rebuilt += 1

    def before_commit(self, act: Callable[[], None]) -> None:
        """Do something when the next commit is about to reach the catalog, whose ever it is."""
        self._acts.append(act)

    def lose_answer(self) -> None:
        """Let the next commit land and its answer be lost."""

        def lost() -> None:
            raise _Lost

        self._acts.append(lost)

    def nothing_more(self) -> None:
        """Forget what was to be done before a commit that never came."""
        self._acts.clear()

    def _commit_table(self, *args: Any) -> Any:
        lost = False
        while self._acts:
            try:
                self._acts.pop(0)()
            except _Lost:
                lost = True
                break
        answer = self._real(*args)
        if lost:
            raise OSError("the answer was lost")
        return answer

    def put(self, *events: Event) -> Any:
        """Commit one batch; return what `commit` said."""
        first = len(self.events)
        metadata = state.as_made(self.table.metadata)
        base: state.Offsets = {"T": {"0": first}}
        wrote = self.writing.write(_rows(events, first), metadata.schema(), metadata, self.table.io)
        batch = commit.Batch(
            wrote.files, wrote.schema, base, {"T": {"0": first + len(events)}}, {}, self.writing.kept(), frozenset(),
            wrote.deletes, wrote.onto, wrote.follow,
        )  # fmt: skip
        result = commit.commit(
            self.catalog, self.table, STREAM, batch, now_ms=lambda: AT_US // 1000, wait=self.clock.advance,
            random=lambda: 0.5,
        )  # fmt: skip
        if isinstance(result, commit.Fenced):
            self.writing = self.session()
        else:
            self.events += events
            self.writing.landed(self.table.metadata, result.tried)
        return result

    def tend(self) -> None:
        """Let upkeep look at the table."""
        self.keeper.look(self.care)
        assert self.care.report.error is None, self.care.report.error

    def read(self) -> Any:
        """Return the table as it is now, read past everything."""
        return self.catalog.load_table(NAME)

    def shown(self) -> list[int]:
        """Return the numbers of the rows that a reader sees."""
        return sorted(self.read().scan(selected_fields=("_offset",)).to_arrow().column(0).to_pylist())

    def files(self) -> tuple[int, int]:
        """Return how many data files and how many files of deletes there are."""
        held = self.held()
        return len(held.files()), len(held.delete_files())

    def held(self) -> contents.Contents:
        """Return what the table's head holds."""
        table = self.read()
        head = table.metadata.current_snapshot()
        return contents.read(table.io, [] if head is None else head.manifests(table.io), deletes=True)

    def check(self) -> None:
        """Assert all that must be true whatever has happened."""
        table = self.read()
        assert self.shown() == folded(self.events)
        said = table.metadata.current_snapshot().summary.additional_properties
        assert state.rows(said) == len(self.shown()), "rows are counted from the summary"
        gone = state.replaced(table.metadata, STREAM)
        assert len(self.shown()) + sum(gone.get(why, 0) for why in ("superseded", "deleted", "tombstones")) == len(
            self.events
        ), "each event is a row or counted as none"
        self._check_deletes(said)
        self.check_index()

    def _check_deletes(self, said: Any) -> None:
        held, named = self.held(), Counter[tuple[str, int]]()
        for file in held.delete_files().values():
            for path, at in deletes.by_file(file, self.table.io).items():
                named.update((path, one) for one in at.to_pylist())
        live = held.files()
        assert all(count == 1 for count in named.values()), "no row is hidden twice"
        assert {path for path, _at in named} <= live.keys(), "deletes name files that are there"
        assert sum(named.values()) == int(said.get("total-position-deletes", 0))
        assert len(live) == int(said["total-data-files"])

    def check_index(self) -> None:
        """Assert that the writer's index, where it has one, is what reading the table would give."""
        known = self.writing._indexed
        if known is None:
            return
        table = self.read()
        self.table.refresh()
        assert self.writing._moved(self.table.metadata), "the index follows upkeep"
        self._equal(known, rebuild(table.metadata, self.first, table.io, lambda: None))

    def _equal(self, one: Indexed, other: Indexed) -> None:
        assert len(one.index) == len(other.index)
        assert set(one.places.values()) == set(other.places.values())
        for key in {key for key, _sequence, _dead in self.events if key is not None}:
            mine, theirs = one.index.get(hashed(f"[{key}]")), other.index.get(hashed(f"[{key}]"))
            assert mine is not None
            assert theirs is not None
            assert (mine.dead, mine.version) == (theirs.dead, theirs.version)
            if not mine.dead:
                assert (one.places[mine.file], mine.at) == (other.places[theirs.file], theirs.at)

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()


class _Lost(Exception):
    """The answer to a commit is to be lost."""


def _rows(events: Iterable[Event], first: int) -> pa.Table:
    many = list(events)
    times = pa.array([AT_US] * len(many), pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "event_id": [f"{first + n:032x}" for n in range(len(many))],
            "received_at": times,
            "event_time": times,
            "_offset": pa.array(range(first, first + len(many)), pa.int64()),
            "_key": pa.array([None if key is None else f"[{key}]" for key, _sequence, _dead in many], pa.string()),
            "_sequence": pa.array([None if one is None else str(one) for _key, one, _dead in many], pa.string()),
            "_tombstone": pa.array([True if dead else None for _key, _sequence, dead in many], pa.bool_()),
        }
    )


def folded(events: Iterable[Event]) -> list[int]:
    """Return the numbers of the rows that must be shown, by a plain dict."""
    latest: dict[int, tuple[Any, int, bool]] = {}
    rows = []
    for n, (key, sequence, dead) in enumerate(events):
        if key is None:
            rows.append(n)
            continue
        version = scalars.of(None if sequence is None else str(sequence))
        if key not in latest or version >= latest[key][0]:
            latest[key] = (version, n, dead)
    return sorted(rows + [n for _version, n, dead in latest.values() if not dead])
