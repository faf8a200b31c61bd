"""The quick path is taken where it is exact, and only there."""

import json

import pytest

from sinks.columns.policy import Limits
from sinks.columns.shape import EMPTY, Branch, Kind, arrow_type
from sinks.rows import parse, salvage
from sinks.rows.parse import Parser

SHAPE = Branch({"n": Kind.LONG, "d": Kind.DOUBLE, "o": Branch({"s": Kind.STRING})})


def strict(*rows: bytes) -> bool:
    return parse._strict(list(rows), SHAPE, arrow_type(SHAPE)) is not None


@pytest.mark.parametrize("row", [b'{"n":1,"d":0.5,"o":{"s":"x"}}', b'{"unknown":null}', b'{\n"n" : 1}', b"{}"])
def test_takes_the_quick_path_for_what_fits(row: bytes) -> None:
    assert strict(row)


@pytest.mark.parametrize(
    "row",
    [
        b'{"d":9007199254740993}',
        b'{"d":0.10000000000000000555}',
        b'{"d":1e-400}',
        b'{"n":1,"n":1}',
        b'{"new":1}',
        b'{"new":{}}',
        b'{"o":{"new":[]}}',
        b'{"o":{"s":"\xe9"}}',
        b'{"n":1}{"n":2}',
        b"",
        b"[]",
    ],
)
def test_leaves_the_quick_path_where_it_would_lose_something(row: bytes) -> None:
    assert not strict(row)


def test_one_odd_row_does_not_slow_down_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[bytes] = []
    read = salvage.read

    def counted(raw: bytes) -> salvage.Decoded:
        slow.append(raw)
        return read(raw)

    monkeypatch.setattr(salvage, "read", counted)
    rows = [json.dumps({"n": n}).encode() for n in range(4096)]
    rows[1000] = b'{"n":"odd"}'
    parsed = Parser(Limits()).parse(rows, SHAPE)
    assert len(slow) <= parse.SMALL
    assert parsed.raw[1000].as_py() == '{"/n":"odd"}'
    assert parsed.payload.field("n")[4095].as_py() == 4095


def test_an_empty_first_payload_makes_no_column() -> None:
    parsed = Parser(Limits()).parse([b"{}", b'{"a":null}'], EMPTY)
    assert parsed.shape == EMPTY
    assert parsed.extra.null_count == parsed.raw.null_count == 2
