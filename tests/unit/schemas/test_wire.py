"""Records on topics: what was written stays readable, byte for byte (golden files) and for any value (properties)."""

from dataclasses import replace
from importlib import resources

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Poison
from schemas.reasons import Reason
from schemas.wire import ledger, pressure, quarantine, raw, run, table
from schemas.wire.position import Position

GOLDEN = resources.files("schemas.wire.avro") / "golden"
LEDGER = ledger.Ledger(
    topic="acme.webhook.slack",
    topic_id="AAAAAAAAAAEAAAAAAAAAAg",
    partition=3,
    first=10,
    next_offset=14,
    group="0",
    decided_at_us=1_700_000_000_123_456,
    items=3,
    counts=(ledger.Count("src", "message", 28_333_333, "clean", 2),),
    others=(ledger.Other(12, 0, "src", "duplicate", None, "evt", ledger.First(3, 10, 0)),),
    lost=((8, 10),),
)
QUARANTINE = quarantine.Quarantine(
    kind=quarantine.FAILED,
    event_id="evt",
    tenant_id="acme",
    platform="slack",
    source="slack",
    source_id="src",
    source_kind="vendor",
    event_type=None,
    vendor_event_id="E1",
    delivery_id="d",
    received_at_us=1_700_000_000_000_001,
    decided_at_us=1_700_000_000_000_002,
    position=Position("AAAAAAAAAAEAAAAAAAAAAg", 1, 2, 3),
    reason=Reason.NOT_UTF8.value,
    pointer="",
    message="byte 0",
    schema=None,
    content_type="application/json",
    auth_coverage="full",
    payload=b"\xff\x00",
    by=None,
)
RAW = raw.RawMeta(
    delivery_id="d",
    source_id="s",
    tenant="acme",
    received_at_us=1,
    method="POST",
    path="/in/u1",
    query="a=b",
    headers=(("X-A", "1"), ("x-a", "\xe9")),
    auth=raw.AuthResult("slack", "full", "sec"),
    redrive=raw.Redrive("topic", 1, 2, "job", (0, 2), as_distinct=True, event_ids=("zero", "two")),
)
RUN = run.Run(
    run_id="a1cb3a8f-9a33-59ef-a6a0-2f0b4dbe0b12",
    chat_id="5553ce72-8cbf-56c0-9427-fc11b97578e5",
    tenant_id="acme",
    role="webhook.slack.message",
    target="agent",
    assignment_id="01890a5d-ac96-774b-bcce-b302099a8057",
    assigned_role="webhook.slack.*",
    event_id="evt",
    event_topic="acme.event.slack",
    event_partition=3,
    position=Position("AAAAAAAAAAEAAAAAAAAAAg", 3, 2**40, 1),
    event_bytes=42,
    event=b'{"eventId":"evt","payload":{"b":1.50,"a":2}}',
)
ADVANCED = table.Advanced(
    tenant_id="acme",
    stream_id="01890a5d-ac96-774b-bcce-b302099a8057",
    namespace="acme__shop",
    table="orders",
    table_uuid="3662a9d8-48de-479f-a108-3c7e0f5d9a11",
    sequence_number=7,
    committed_at_ms=1_773_828_000_456,
    snapshot_id=2**62 - 1,
    rows=1_000,
    added_rows=20,
    newest_event_time_ms=1_773_828_000_123,
)
PRESSURE = pressure.Pressure(
    tenant_id="acme",
    source_id="01890a5d-ac96-774b-bcce-b302099a8057",
    origin="stage",
    measured_at_ms=1_773_828_000_456,
    level=2,
    lag_events=1_200_000,
    lag_seconds=612.5,
    lag_bytes=2_400_000_000,
    drained_per_s=1900.5,
    quarantine_ratio=0.25,
)
TEXT = st.text(max_size=20)
LONG = st.integers(0, (1 << 62) - 1)


def test_golden_ledger_and_quarantine_stay_readable() -> None:
    for name, record, codec in (("ledger.v1.bin", LEDGER, ledger), ("quarantine.v1.bin", QUARANTINE, quarantine)):
        stored = (GOLDEN / name).read_bytes()
        assert codec.decode(stored) == record
        assert codec.encode(record) == stored


def test_golden_run_stays_as_readers_know_it() -> None:
    stored = (resources.files("schemas.wire") / "golden" / "run.v1.json").read_bytes().splitlines()
    assert [run.encode(RUN), run.encode(msgspec.structs.replace(RUN, event=None))] == stored
    value = msgspec.json.decode(stored[0])
    assert list(value)[-1] == "event"
    assert stored[0].endswith(b'"event":' + (RUN.event or b"") + b"}")


def test_golden_table_advanced_stays_readable() -> None:
    stored = (resources.files("schemas.wire") / "golden" / "table.v1.json").read_bytes().splitlines()
    own = msgspec.structs.replace(ADVANCED, stream_id=None, newest_event_time_ms=None)
    assert [table.encode(ADVANCED), table.encode(own)] == stored
    assert [table.decode(line) for line in stored] == [ADVANCED, own]
    assert table.decode(stored[0][:-1] + b',"later":1}') == ADVANCED
    for bad in (b"", b"{}", stored[0].replace(b"2026", b"soon"), stored[0].replace(b'"4611', b'"x')):
        with pytest.raises(Poison):
            table.decode(bad)


def test_golden_pressure_stays_readable() -> None:
    stored = (resources.files("schemas.wire") / "golden" / "pressure.v1.json").read_bytes().splitlines()
    new = msgspec.structs.replace(PRESSURE, origin="tables", drained_per_s=None, level=0)
    assert [pressure.encode(PRESSURE), pressure.encode(new)] == stored
    assert [pressure.decode(line) for line in stored] == [PRESSURE, new]
    assert pressure.decode(stored[0][:-1] + b',"later":1}') == PRESSURE
    assert PRESSURE.key == b"01890a5d-ac96-774b-bcce-b302099a8057/stage"
    for bad in (b"", b"{}", stored[0].replace(b'"level":2', b'"level":4'), stored[0].replace(b"stage", b"broker")):
        with pytest.raises(Poison):
            pressure.decode(bad)


@given(TEXT, LONG, LONG, st.lists(st.tuples(LONG, LONG), max_size=3))
def test_a_ledger_comes_back(text: str, first: int, n: int, lost: list[tuple[int, int]]) -> None:
    record = replace(
        LEDGER, topic=text, first=first, lost=tuple(lost), counts=(ledger.Count(text, text, n, text, first),)
    )
    assert ledger.decode(ledger.encode(record)) == record


@given(
    TEXT, st.binary(max_size=50), st.none() | TEXT, st.none() | st.builds(Position, TEXT, st.just(1), LONG, st.just(2))
)
def test_a_quarantine_record_comes_back(
    message: str, payload: bytes, event_type: str | None, by: Position | None
) -> None:
    record = replace(QUARANTINE, message=message, payload=payload, event_type=event_type, by=by)
    assert quarantine.decode(quarantine.encode(record)) == record


@given(TEXT, LONG, st.none() | TEXT, st.lists(st.tuples(TEXT, TEXT), max_size=4))
def test_a_raw_records_headers_come_back(
    text: str, at: int, event_id: str | None, headers: list[tuple[str, str]]
) -> None:
    given = {"path": text, "received_at_us": at, "event_id": event_id, "headers": tuple(headers), "redrive": None}
    meta = msgspec.structs.replace(RAW, **given)
    for one in (meta, RAW):
        assert raw.decode(raw.encode(one)) == one


def test_the_source_of_a_raw_record_stands_where_readers_look_first() -> None:
    assert raw.encode(RAW)[raw.SOURCE_AT] == (raw.HB_SOURCE_ID, RAW.source_id.encode())


def test_a_redrives_record_keeps_the_original_headers_and_says_what_its_items_are_called() -> None:
    given = [*raw.encode(RAW), ("x-of-another-program", b"1")]
    again = raw.Redrive("t", 0, 9, "other", (3, 1), event_ids=("three", "one"))
    made = raw.redriven(given, again)
    assert made[:-1] == [header for header in given if header[0] != raw.HB_REDRIVE]
    read = raw.decode(made).redrive
    assert read is not None
    assert (read.items, [read.named(item) for item in range(5)]) == ((1, 3), [None, "one", None, "three", None])
    whole = raw.decode(raw.redriven(given, raw.Redrive("t", 0, 9, "job", (), event_ids=("all",)))).redrive
    assert whole is not None
    assert (whole.named(7), whole.row(7)) == ("all", Position("t", 0, 9, 0))
    with pytest.raises(Poison):
        raw.decode(raw.redriven(given, raw.Redrive("t", 0, 9, "job", (1, 2), event_ids=("one",))))


@pytest.mark.parametrize("name", [raw.HB_VERSION, raw.HB_AUTH, raw.HB_HEADERS, raw.HB_RECEIVED_AT, raw.HB_SOURCE_ID])
def test_a_raw_record_without_a_header_is_poison(name: str) -> None:
    with pytest.raises(Poison) as caught:
        raw.decode([header for header in raw.encode(RAW) if header[0] != name])
    assert caught.value.reason is Reason.BAD_RECORD


@given(st.binary(max_size=60))
def test_foreign_bytes_are_poison_and_never_a_crash(value: bytes) -> None:
    for data in (value, ledger.encode(LEDGER)[:10] + value[:3]):
        with pytest.raises(Poison):
            ledger.decode(data)
