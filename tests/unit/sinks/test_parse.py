"""The quick path is taken where it is exact, and only there."""

import json
from typing import Any

import pytest

from sinks.columns.policy import Limits
from sinks.columns.shape import EMPTY, Branch, Kind
from sinks.rows import events, salvage, system
from sinks.rows.bulk import Bulk
from sinks.rows.events import Events
from tests.unit.sinks.wrapped import event, read, records

SHAPE = Branch({"n": Kind.LONG, "d": Kind.DOUBLE, "o": Branch({"s": Kind.STRING})})
DEEP = Branch({"n": Kind.LONG, "j": Kind.JSON, "o": Branch({"k": Kind.JSON, "s": Kind.STRING})})
ONLY_DEEP = Branch({"o": Branch({"k": Kind.JSON})})
DOUBLES = Branch({"d": Kind.DOUBLE, "l": Kind.LIST_DOUBLE})


def strict(*rows: bytes, shape: Branch = SHAPE, envelopes: bool = False, head: bytes = b"") -> bool:
    plan = Bulk(shape, Limits(), (("e",), ("o", "e")), envelopes=envelopes)
    values = [event(row, n).replace(b"{", b"{" + head, 1) for n, row in enumerate(rows)]
    return plan.read(values, 0) is not None


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The payloads that were read one by one."""
    seen: list[bytes] = []
    real = salvage.read

    def counted(raw: bytes) -> salvage.Decoded:
        seen.append(raw)
        return real(raw)

    monkeypatch.setattr(salvage, "read", counted)
    return seen


@pytest.mark.parametrize(
    "row",
    [
        b'{"n":1,"d":0.5,"o":{"s":"x"}}',
        b'{"unknown":null}',
        b'{\n"n" : 1}',
        b'{\r\n"o" : {"s":"\\n"} , "e" : []}',
        b"{}",
        b'{"e":[],"o":{"e":{}}}',
        b'{"s":null,"o":{"s":"1234567890123456789012"}}',
    ],
)
def test_takes_the_quick_path_for_what_fits(row: bytes) -> None:
    assert strict(row)


@pytest.mark.parametrize(
    "row",
    [
        b'{"d":9007199254740993}',
        b'{"d" : 9007199254740993}',
        b'{"d":0.10000000000000000555}',
        b'{"d":1e-400}',
        b'{"\\u0064":0.10000000000000000555}',
        b'{"n":1,"n":1}',
        b'{"n":1.0}',
        b'{"new":1}',
        b'{"new":{}}',
        b'{"e":1}',
        b'{"e":[null]}',
        b'{"o":{"new":[]}}',
        b'{"o":{"s":"\xe9"}}',
        b'{"o":{"s":"\n"}}',
        b'{"n":1}{"n":2}',
        b'{"n":1},"x":{"n":2}}',
        b"null",
        b"",
        b"[]",
    ],
)
def test_leaves_the_quick_path_where_it_would_lose_something(row: bytes) -> None:
    assert not strict(row)
    assert not strict(b"{}", row, b"{}")


@pytest.mark.parametrize("row", [b'{"l":[0.1,0.10000000000000000555]}', b'{"l":[1e400]}', b'{"d":[1]}'])
def test_looks_at_every_number_of_a_list(row: bytes) -> None:
    assert strict(b'{"d":0.5,"l":[0.25,1]}', shape=DOUBLES)
    assert not strict(row, shape=DOUBLES)


@pytest.mark.parametrize(
    "row",
    [
        b'{"j":{"a":[1,{"b":2}]},"n":1,"o":{"s":"x","k":[1,"a"]}}',
        b'{"o":{"k":{"x":1},"s":"y"},"j":{"x":1}}',
        b'{"j":"text","o":null}',
        b'{"j":null,"o":{"k":null}}',
        '{"j":{"é":"é"},"o":{"s":"é"}}'.encode(),
    ],
)
@pytest.mark.parametrize("shape", [DEEP, ONLY_DEEP])
def test_keeps_the_text_of_json_columns_as_sent(row: bytes, shape: Branch) -> None:
    sent = json.loads(row)
    if shape is ONLY_DEEP:
        sent = {"o": sent.get("o") and {"k": sent["o"].get("k")}}
        row = json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()
    part = Bulk(shape, Limits(), (), envelopes=False).read([event(row), event(b"{}")], 0)
    assert part is not None
    found = part.payload.to_pylist()[0]
    texts = {"j": found.get("j"), "k": (found.get("o") or {}).get("k")}
    wanted = {"j": sent.get("j"), "k": (sent.get("o") or {}).get("k")}
    assert {name: text and json.loads(text) for name, text in texts.items()} == wanted


def test_a_json_column_named_twice_is_not_for_the_quick_path() -> None:
    assert not strict(b'{"j":{"a":1},"j":{"a":1}}', shape=DEEP)
    assert not strict(b'{"j":{"a":1},"j":null}', shape=DEEP)


def test_keeps_envelopes_as_text() -> None:
    plan = Bulk(SHAPE, Limits(), (), envelopes=True)
    part = plan.read([event(b"{}", envelope=b'{"live": "false"}'), event(b"{}")], 0)
    assert part is not None
    assert part.columns["envelope"].to_pylist() == ['{"live": "false"}', None]
    assert Bulk(SHAPE, Limits(), (), envelopes=False).read([event(b"{}", envelope=b"{}")], 0) is None


def test_an_envelope_changes_nothing_of_its_row_on_either_path() -> None:
    """It may itself hold what looks like the payload's beginning."""
    around = b'{"live": "false","payload":{"n":9}}'
    values = [event(b'{"n":1}', 5), event(b'{"n":2}', 6, envelope=around), event(b'{"n":3}', 7, envelope=b"null")]
    given = [system.Record("T", 0, n, value) for n, value in enumerate(values)]
    reader, shape = Events(Limits()), EMPTY
    for _path in ("one by one", "at once"):
        found = reader.read(given, shape, 0)
        shape = found.shape
        rows = found.rows.to_pylist()
        assert [row["envelope"] for row in rows] == [None, around.decode(), None]
        assert [(row["_offset"], row["payload"]["n"], row["_raw"]) for row in rows] == [
            (5, 1, None),
            (6, 2, None),
            (7, 3, None),
        ]


@pytest.mark.parametrize("head", [b'"eventId":"twice",', b'"position":null,'])
def test_a_head_with_a_member_twice_is_not_for_the_quick_path(head: bytes) -> None:
    assert strict(b"{}", head=b'"later":{"a":1},')
    assert not strict(b"{}", head=head)


@pytest.mark.parametrize(
    "value",
    [
        event(b"{}").replace(b'"partition":0', b'"partition":-1'),
        event(b"{}").replace(b'"partition":0', b'"partition":null'),
        event(b"{}").replace(b'"partition":0,', b""),
        event(b"{}").replace(b'"item":0', b'"item":2147483648'),
        event(b"{}").replace(b'"eventId":"e0"', b'"eventId":5'),
    ],
)
def test_an_odd_head_is_read_as_the_tolerant_path_reads_it(value: bytes) -> None:
    assert Bulk(SHAPE, Limits(), (), envelopes=False).read([value], 0) is None


def test_one_odd_row_does_not_slow_down_the_others(slow: list[bytes]) -> None:
    rows = [json.dumps({"n": n}).encode() for n in range(4096)]
    rows[1000] = b'{"n":"odd"}'
    made = read(Events(Limits()), rows, SHAPE).rows
    assert len(slow) <= events.SMALL
    assert made["_raw"][1000].as_py() == '{"/n":"odd"}'
    assert made["payload"][4095].as_py()["n"] == 4095


def test_members_that_wait_for_a_column_do_not_slow_down_the_second_batch(slow: list[bytes]) -> None:
    rows = [json.dumps({"n": n, "tags": [], "o": {"meta": {}} if n % 2 else None}).encode() for n in range(500)]
    reader = Events(Limits())
    first = read(reader, rows, SHAPE).rows
    before = len(slow)
    second = read(reader, rows, SHAPE).rows
    assert len(slow) == before
    assert second["_extra"].to_pylist() == first["_extra"].to_pylist()
    typed = read(reader, [*rows, b'{"tags":["a"]}'], SHAPE)
    assert typed.shape.fields["tags"] is Kind.LIST_STRING


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\tb"])
def test_a_name_that_cannot_be_looked_for_is_left_to_the_tolerant_path(name: str) -> None:
    row = json.dumps({name: {}, "n": 1, "o": {name: []}}).encode()
    reader = Events(Limits())
    for _batch in range(2):
        made = read(reader, [row], SHAPE).rows
        assert json.loads(made["_extra"][0].as_py()) == {f"/{name}": {}, f"/o/{name}": []}
    assert Bulk(Branch({name: Kind.JSON}), Limits(), (), envelopes=False).read([event(b"{}")], 0) is None


def test_both_paths_make_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = records(
        [
            json.dumps({"n": n, "d": n / 4, "o": {"s": f"x{n}é", "t": [], "u": n % 2 or None}}).encode()
            for n in range(300)
        ]
    )
    reader = Events(Limits())
    reader.read(sent, SHAPE, 7)
    quick = reader.read(sent, SHAPE, 7)
    monkeypatch.setattr(Bulk, "read", lambda *_: None)
    slow = Events(Limits()).read(sent, SHAPE, 7)
    assert quick.shape == slow.shape
    names = slow.rows.column_names
    assert quick.rows.select(names).combine_chunks().equals(slow.rows.combine_chunks())


def test_an_empty_first_payload_makes_no_column() -> None:
    made = read(Events(Limits()), [b"{}", b'{"a":null}'], EMPTY)
    assert made.shape == EMPTY
    assert made.rows["_extra"].null_count == made.rows["_raw"].null_count == 2


def test_selects_by_the_type_that_an_event_names() -> None:
    odd: list[Any] = [event(b"{}", kind="push"), b"no json", event(b'{"a":"\xff"}', kind="ping")]
    assert system.kinds([system.Record("T", 0, n, value) for n, value in enumerate(odd)]) == ["push", "", "ping"]
