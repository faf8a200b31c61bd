"""The table of streams/shapes/README.md: every odd body has one decided outcome, and the README says it."""

from pathlib import Path

import pytest

from schemas.reasons import Outcome
from streams.decide import Decision
from tests.unit.streams import bodies
from tests.unit.streams.bodies import ROWS, Row
from tests.unit.streams.made import Partition, record, source

README = Path(__file__).parents[3] / "streams" / "shapes" / "README.md"
ALL = [pytest.param(row, id=f"{shape}: {row.case}") for shape, rows in ROWS.items() for row in rows]


def decided(row: Row) -> list[Decision]:
    headers = ({} if row.type is None else {"content-type": row.type}) | row.headers
    records = [
        record(body, number, headers=tuple(headers.items()), delivery_id=f"delivery-{number}")
        for number, body in enumerate(row.sent)
    ]
    return Partition(source(parse=row.parse)).decide(*records)


def said(one: Decision) -> str:
    if one.outcome is not Outcome.QUARANTINED:
        return str(one.outcome)
    assert one.fault is not None
    assert one.fault.message
    return f"{one.outcome} {one.fault.reason}"


@pytest.mark.parametrize("row", ALL)
def test_what_becomes_of_a_body(row: Row) -> None:
    found = decided(row)
    assert ", ".join(said(one) for one in found) == row.outcome
    assert tuple(one.event.item.payload for one in found) == (row.sent if row.payloads is None else row.payloads)
    assert row.says in " ".join(one.fault.message for one in found if one.fault is not None)
    if row.around is not None:
        assert tuple(one.event.item.envelope for one in found) == row.around


def test_the_readme_has_exactly_these_rows() -> None:
    """Made by `python -m tests.unit.streams.bodies`: a row without a test cannot be there."""
    text = README.read_text("utf-8")
    table = text[text.index("| shape | body |") :].partition("\n\n")[0]
    assert table == bodies.table()
    names = [(shape, row.case) for shape, rows in ROWS.items() for row in rows]
    assert len(names) == len(set(names))
