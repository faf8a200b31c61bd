"""Stitch's columns stand beside any payload: it comes back, and numbers are a permutation in the order of versions."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.columns.key import Key
from sinks.columns.policy import Limits
from sinks.columns.shape import EMPTY
from sinks.layout import _beside
from sinks.rows import stitch
from sinks.rows.events import Events
from sinks.rows.rebuild import rebuild
from sinks.rows.system import FLAT
from tests.property.sinks.test_rebuild import NAMES, VALUES, same, without_nulls
from tests.unit.sinks.wrapped import read

OURS = st.sampled_from([column.name for column in stitch.COLUMNS] + ["_SDC_x", "_hb_topic", "payload", "id"])
PAYLOADS = st.dictionaries(OURS | NAMES, VALUES, max_size=5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(PAYLOADS, min_size=1, max_size=6), min_size=1, max_size=3), st.integers(1, 8))
def test_every_payload_comes_back_from_beside_the_numbers(batches: list[list[dict[str, Any]]], columns: int) -> None:
    key, first = Key(("id",), ("a",)), 1_000
    reader, shape = Events(Limits(3, columns, key.paths, (FLAT, *stitch.RESERVED))), EMPTY
    for batch in batches:
        texts = [json.dumps(payload).encode() for payload in batch]
        made = read(reader, texts, shape)
        shape = made.shape
        rows = stitch.added(_beside(made.rows), first, 0, 1, key, key.compared(shape)).to_pylist()
        for sent, row in zip(texts, rows, strict=True):
            back = rebuild(row, row["_hb_extra"], row["_hb_raw"], shape)
            assert same(without_nulls(back), without_nulls(json.loads(sent))), (sent, row)
            assert row["__sdc_primary_key"]
        assert sorted(row[stitch.SEQUENCE] for row in rows) == list(range(first, first + len(batch)))
        values = [
            row.get("a") if key.compared(shape) else None for row in sorted(rows, key=lambda r: r[stitch.SEQUENCE])
        ]
        present = [value for value in values if value is not None]
        assert values == [None] * (len(values) - len(present)) + sorted(present)
        first += len(batch)
