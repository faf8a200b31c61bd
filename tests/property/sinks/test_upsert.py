"""An upsert table is what a dict would be: any events, in any batches, with any restarts."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.columns.key import Key
from sinks.rows.system import Record
from sinks.table import state
from sinks.upkeep import compact
from sinks.upsert import scalars
from sinks.upsert.index import Entry, Index, Loading, hashed
from sinks.upsert.keys import KeyColumns, Keys
from sinks.upsert.merge import decide
from tests.integration.sinks.world import wire_event
from tests.unit.sinks import keyed, wrapped
from tests.unit.sinks.ground import NAME, STREAM, TOPIC, Ground

KEYS = Keys(Key(("id", "kind"), ("at", "n")), (("op",), ("gone", 0, True)))
SEQUENCES = [1, 2, 2.5, -1, "3", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.1+00:00", "x", None, 10**30, True, {}]
EVENTS = st.lists(
    st.tuples(st.sampled_from(["a", "b", 1, "1", None]), st.sampled_from(SEQUENCES), st.booleans(), st.integers(0, 2)),
    min_size=1,
    max_size=25,
)


def value(n: int, event: tuple[Any, Any, bool, int]) -> bytes:
    key, sequence, gone, moment = event
    body = {"id": key, "kind": "k", "at": {"n": sequence}, "op": "gone" if gone else "kept", "row": n}
    return wire_event(n, json.dumps(body).encode(), at_ms=1_700_000_000_000 + moment)


def folded(events: list[tuple[Any, Any, bool, int]]) -> set[int]:
    """Return the numbers of the rows that must be there, by a plain dict."""
    latest: dict[Any, tuple[Any, int, bool]] = {}
    rows = set()
    for n, (key, sequence, gone, moment) in enumerate(events):
        if key is None:
            rows.add(n)
            continue
        plain = None if isinstance(sequence, (bool, dict)) or sequence is None else json.dumps(sequence)
        version = (scalars.of(plain), moment)
        name = (type(key), key)
        if name not in latest or version >= latest[name][0]:
            latest[name] = (version, n, gone)
    return rows | {n for _version, n, gone in latest.values() if not gone}


@contextmanager
def ground() -> Iterator[Ground]:
    with tempfile.TemporaryDirectory() as folder:
        made = Ground(Path(folder))
        made.keys = KEYS
        made.log.make(TOPIC)
        yield made
        made.close()


@given(EVENTS, st.sets(st.integers(1, 24)))
def test_what_is_left_is_what_a_dict_would_hold(events: list[tuple[Any, Any, bool, int]], cuts: set[int]) -> None:
    """The decision alone, over batches cut anywhere."""
    index, rows = Index(), dict[tuple[int, int], int]()
    counts = 0
    for first, last in pairwise([0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]):
        batch = events[first:last]
        read = KeyColumns(KEYS).read([Record("T", 0, n, value(n, event)) for n, event in enumerate(batch, first)])
        columns = {name: column.to_pylist() for name, column in read.items()}
        versions = [
            (*scalars.of(text), event[3], event[3]) for text, event in zip(columns["_sequence"], batch, strict=True)
        ]
        made = decide(columns["_key"], versions, columns["_tombstone"], index)
        for place in made.hidden:
            del rows[place]
        dead = {entry.at for entry in made.latest.values() if entry.dead}
        rows |= {(first, row): first + row for row in made.rows if row not in dead}
        for key, entry in made.latest.items():
            index.put(key, entry._replace(file=first))
        counts += sum(made.counts.values()) - made.counts["keyless"]
    assert set(rows.values()) == folded(events)
    assert len(rows) + counts == len(events)


@settings(max_examples=6, deadline=None)
@given(EVENTS, st.sets(st.integers(1, 24), max_size=2), st.integers(3, 9))
def test_the_table_is_what_a_dict_would_be(
    events: list[tuple[Any, Any, bool, int]], restarts: set[int], per_poll: int
) -> None:
    with ground() as made:
        made.per_poll = per_poll
        for n, event in enumerate(events):
            made.log.put(value(n, event))
            if n in restarts:
                made.run()
        tail = made.run()
        rows = made.reader.load_table(NAME).scan().to_arrow().to_pylist()
        assert {row["_offset"] for row in rows} == folded(events), tail.status().message
        assert len(rows) == tail.status().rows
        said = state.replaced(made.table().metadata, STREAM)
        gone = sum(said.get(why, 0) for why in ("superseded", "deleted", "tombstones"))
        assert len(rows) + gone == len(events)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "tend", "tend in put", "put in tend", "put, no answer", "tend, no answer", "restart"]),
        st.lists(
            st.tuples(st.sampled_from([None, 0, 1, 2, 3, 4]), st.sampled_from([None, 1, 2, 3]), st.booleans()),
            min_size=1,
            max_size=4,
        ),
    ),
    min_size=4,
    max_size=9,
)


@settings(max_examples=6, deadline=None)
@given(STEPS)
def test_a_table_that_upkeep_rewrites_meanwhile_is_what_a_dict_would_be(
    steps: list[tuple[str, list[keyed.Event]]],
) -> None:
    """Commits and looks in any order, one inside the other, answers lost: rows, counts, deletes and index are right."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as early:
        early.setattr(compact, "MIN_INPUTS", 2)
        made = keyed.Table(Path(folder))
        try:
            for step, events in steps:
                _do(made, step, events)
            made.put((0, 1, False))
            made.check()
        finally:
            made.close()


def _do(made: keyed.Table, step: str, events: list[keyed.Event]) -> None:
    if step.endswith("no answer"):
        made.lose_answer()
    if step == "restart":
        made.writing = made.session()
    elif step == "put in tend":
        made.before_commit(lambda: made.put(*events))
        made.tend()
    elif step.startswith("tend,") or step == "tend":
        made.tend()
    else:
        if step == "tend in put":
            made.before_commit(made.tend)
        made.put(*events)
    made.nothing_more()
    if made.writing._indexed is not None:
        made.check_index()


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(SEQUENCES), st.integers(0, 3)), max_size=60),
    st.integers(1, 60),
)
def test_an_index_in_arrays_says_what_a_dict_says(puts: list[tuple[int, Any, int]], settled: int) -> None:
    loading = Loading()
    plain: dict[bytes, Entry] = {}
    index = Index()
    for n, (number, sequence, moment) in enumerate(puts):
        key = hashed(str(number))
        text = None if isinstance(sequence, (bool, dict)) or sequence is None else json.dumps(sequence)
        entry = Entry(n, n + 1, n % 3 == 0, (*scalars.of(text), moment, 0))
        if n < settled:
            loading.add(key, entry)
            if key not in plain or (entry.version, not entry.dead) >= (plain[key].version, not plain[key].dead):
                plain[key] = entry
        else:
            if n == settled:
                index = loading.done()
            index.put(key, entry)
            plain[key] = entry
            if n % 7 == 0:
                index.settle()
    if len(puts) <= settled:
        index = loading.done()
    assert len(index) == len(plain)
    assert {key: index.get(key) for key in plain} == plain
    assert index.get(hashed("none")) is None
    even = {entry.file for entry in plain.values() if entry.file % 2 == 0}
    moved = {
        key: entry._replace(file=entry.file + 100, at=entry.at * 2) if entry.file in even else entry
        for key, entry in plain.items()
    }
    assert not even or not index.move(even, lambda file, at: (file, pa.nulls(len(at), pa.int32())))
    assert {key: index.get(key) for key in plain} == plain
    assert index.move(even, lambda file, at: (pc.add(file, pa.scalar(100, pa.int32())), pc.add(at, at)))
    assert {key: index.get(key) for key in plain} == moved


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = SCALARS | st.text(max_size=5) | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=2), SCALARS)


@given(st.lists(VALUES, max_size=8))
def test_equal_values_are_one_key_and_others_are_not(values: list[Any]) -> None:
    plain = [json.dumps({"id": value, "kind": 1}).encode() for value in values]
    other = [json.dumps({"kind": 1.0, "id": value}, ensure_ascii=False, indent=1).encode() for value in values]
    keys = KeyColumns(KEYS).read(wrapped.records(plain + other))["_key"].to_pylist()
    assert keys[: len(values)] == keys[len(values) :]
    for value, key in zip(values, keys, strict=False):
        assert (key is None) == (value is None or isinstance(value, (dict, list)))
        for another, its in zip(values, keys, strict=False):
            if key is not None and its is not None:
                kinds = [(isinstance(one, str), isinstance(one, bool)) for one in (value, another)]
                assert (key == its) == (value == another and kinds[0] == kinds[1])


def test_the_decision_changes_no_index() -> None:
    index = Index()
    decide(["a", "a"], [(0, 0, 1, 1), (0, 0, 2, 2)], [None, True], index)
    assert len(index) == 0
