"""Times, dates and decimals: what fits, what is kept beside, and that both paths agree on it."""

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from sinks.columns.policy import Limits
from sinks.columns.shape import Branch, Decimals, Kind
from sinks.rows import forms, salvage
from sinks.rows.bulk import Bulk
from sinks.rows.events import Events
from tests.unit.sinks.wrapped import read, records

SHAPE = Branch(
    {"at": Kind.TIME, "o": Branch({"at": Kind.TIME, "day": Kind.DATE}), "n": Kind.INT, "m": Decimals(8, 2),
     "w": Decimals(20, 0)}
)  # fmt: skip


def quick(*payloads: bytes) -> bool:
    values = [one.value for one in records(payloads)]
    return Bulk(SHAPE, Limits(), (), envelopes=False).read(values, 0) is not None


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.500Z"),
        ("2026-01-01T00:00:00.000001+00:00", "2026-01-01T00:00:00.000001Z"),
        ("2026-01-01T00:00:00+02:00", "2025-12-31T22:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00+00:01", None),
        ("0000-12-31T23:59:59Z", None),
        ("2026-01-01T00:00:00.1234567Z", None),
        ("2026-01-01T23:59:60Z", None),
        ("2026-01-01T24:00:00Z", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-01-01 00:00:00Z", None),
        ("2026-01-01T00:00:00z", None),
        ("2026-01-01T00:00:00", None),
        ("2026-01-01T00:00Z", None),
        ("2026-01-01T00:00:00+25:00", None),
        ("2026-01-01", None),
        ("", None),
        ("\u0662026-01-01T00:00:00Z", None),
    ],
)
def test_a_time_fits_or_is_kept_as_text_on_either_path(text: str, back: str | None) -> None:
    value = forms.time_of(text)
    assert (None if value is None else forms.text_of(value)) == back
    for texts in ([text], ["2026-01-01T00:00:00Z", None, text]):
        column = pa.array(texts, pa.string())
        try:
            values, others = forms.times(column)
        except ValueError:
            assert back is None
            continue
        assert values[-1].as_py() == value
        assert (None if others is None else others[-1].as_py()) == (None if forms.is_utc(text) else text)


@pytest.mark.parametrize("text", ["2026-02-30", "0000-01-01", "2026-1-1", "20260101", "2026-01-01Z", ""])
def test_what_is_no_day_does_not_fit(text: str) -> None:
    assert forms.date_of(text) is None
    with pytest.raises(ValueError, match=r".*"):
        forms.dates(pa.array(["2026-01-01", text]))


@pytest.mark.parametrize("number", [0.1, 0.35, 0.57, -19.99, 123456.78, 999999.99, 0.0, 5.0])
def test_a_decimal_is_the_number_that_was_sent(number: float) -> None:
    assert forms.decimals(pa.array([number, None]), pa.decimal128(8, 2)).to_pylist() == [Decimal(str(number)), None]


@pytest.mark.parametrize("number", [0.351, 19.999, 1_000_000.0, 1e-9, 1e300])
def test_a_number_of_more_digits_is_no_such_decimal(number: float) -> None:
    with pytest.raises(ValueError, match=r".*"):
        forms.decimals(pa.array([number]), pa.decimal128(8, 2))


FITS = (
    b'{"at":"2026-01-01T00:00:00Z","o":{"at":"2026-01-01T00:00:00+01:00","day":"2026-01-01"},"n":7,"m":19.99}',
    b'{"at":null,"o":{"at":"2026-01-01T00:00:00.120Z"},"w":18446744073709551615}',
    b'{"o":null,"m":5,"w":0}',
    b'{"at":"2026-01-01T00:00:00-03:30","o":{}}',
)
ODD: tuple[Any, ...] = (
    {"m": "1.5"}, {"m": 1.555}, {"m": 10**7}, {"w": 2**70}, {"w": "1"}, {"w": 0.5}, {"n": 2**31}, {"n": 5.7},
    {"n": True}, {"at": 1}, {"at": "now"}, {"o": {"day": "2026-01-01T00:00:00Z"}}, {"o": {"at": []}},
    {"m": 0.1000000000000000055},
)  # fmt: skip


def test_typed_rows_go_the_quick_path() -> None:
    assert quick(*FITS)


@pytest.mark.parametrize("odd", [*ODD[:13], b'{"m":0.1000000000000000055}', b'{"m":1,"m":1}', b'{"w":1,"w":1}'])
def test_what_does_not_fit_its_type_does_not(odd: Any) -> None:
    assert not quick(*FITS, odd if isinstance(odd, bytes) else json.dumps(odd).encode())


def test_both_paths_make_the_same_typed_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [*FITS * 40, *(json.dumps(one).encode() for one in ODD)]
    fast = read(Events(Limits()), sent, SHAPE).rows
    monkeypatch.setattr(Bulk, "read", lambda *_: None)
    slow = read(Events(Limits()), sent, SHAPE).rows
    assert fast.select(slow.column_names).to_pylist() == slow.to_pylist()


@pytest.mark.parametrize("odd", ODD[:13])
def test_what_does_not_fit_is_in_raw_under_its_pointer(odd: dict[str, Any]) -> None:
    row = salvage.fit(salvage.read(json.dumps(odd).encode()), SHAPE)
    (name, value), *_ = odd.items()
    pointer = f"/{name}" + (f"/{next(iter(value))}" if isinstance(value, dict) else "")
    assert row.raw is not None
    assert json.loads(row.raw) == {pointer: next(iter(value.values())) if isinstance(value, dict) else value}
