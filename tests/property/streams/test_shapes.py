"""What must hold for bodies of every shape: total, every byte that matters is kept, bounds hold."""

import gzip
import hashlib
import json
import zlib
from decimal import Decimal
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Poison
from schemas.reasons import Reason
from schemas.vendors import VENDORS
from streams.shapes import form, inflate, numbers
from streams.shapes.read import How, read
from streams.split import MAX_ITEMS, Item
from streams.texts import pointer_parts
from tests.unit.streams.bodies import ROWS

REASONS = {
    Reason.NOT_PARSEABLE, Reason.NOT_UTF8, Reason.UNSUPPORTED_CONTENT_TYPE, Reason.TOO_DEEP, Reason.TOO_LARGE,
    Reason.TOO_MANY_ITEMS,
}  # fmt: skip
FORM, LINES = "application/x-www-form-urlencoded", "application/x-ndjson"
TYPES = st.sampled_from(
    ["application/json", LINES, FORM, "multipart/form-data; boundary=b", "multipart/form-data", "text/xml", "",
     "a/b+json", "application/cloudevents+json", "application/cloudevents-batch+json"]
)  # fmt: skip
CHARSETS = st.sampled_from(["", "; charset=utf-8", "; charset=utf-16", "; charset=iso-8859-1", "; charset=iso-2022-jp",
                            "; charset=x", "; charset*=''utf-16"])  # fmt: skip
CODINGS = st.sampled_from([None, "gzip", "deflate", "identity", "br", "\xff"])
HOWS = st.builds(
    How,
    st.sampled_from([None, "application/json", LINES, FORM, "application/cloudevents-batch+json"]),
    st.sampled_from([None, "utf-8", "utf-16", "shift_jis"]),
    st.sampled_from([None, "fields", "payload"]),
    st.just(tuple(pointer_parts(each) for each in VENDORS["meta"].split)),
    st.sampled_from([10, 20_000_000]),
)
BODIES = st.sampled_from([body for rows in ROWS.values() for row in rows for body in row.sent if len(body) < 5_000])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
SPACE = st.sampled_from(["", " ", "\r\n", "\t "])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a body of the table with some bytes cut, doubled or changed, or any bytes."""
    body = bytearray(draw(BODIES | st.binary(max_size=40)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 3))] = draw(
            st.sampled_from([b"", b"\r\n", b"--b", b"%", b"\xff", b'"', b"["])
        )
    return bytes(body)


def items(body: bytes, content_type: str, how: How = How()) -> tuple[Item, ...]:  # noqa: B008 frozen
    return read(body, {"content-type": content_type}, how)[0]


@given(
    damaged(),
    TYPES,
    CHARSETS,
    CODINGS,
    HOWS,
    st.dictionaries(st.sampled_from(["ce-id", "ce-source", "ce-type", "ce-specversion"]), TEXT),
)
def test_any_body_has_items_or_a_reason(
    body: bytes, kind: str, charset: str, coding: str | None, how: How, more: dict[str, str]
) -> None:
    headers = {"content-type": kind + charset} | more | ({} if coding is None else {"content-encoding": coding})
    refused: Poison | None = None
    found: tuple[Item, ...] = ()
    try:
        found = read(body, headers, how)[0]
    except Poison as exc:
        refused = exc
    assert refused is None or (refused.reason in REASONS and refused.message)
    assert [item.number for item in found] == list(range(len(found)))
    assert len(found) <= MAX_ITEMS
    for item in found:
        if item.fault is None:
            assert orjson.loads(item.payload) == item.value or item.odd
            assert item.envelope is None or isinstance(orjson.loads(item.envelope), dict)
        else:
            assert item.value is None


@given(st.lists(JSON, max_size=6), SPACE, st.sampled_from([None, 1]))
def test_items_of_an_array_and_lines_are_the_bytes_that_were_sent(
    values: list[Any], space: str, indent: int | None
) -> None:
    texts = [json.dumps(value, indent=indent).encode() for value in values]
    gap = space.encode()
    body = b"[" + b",".join(gap + text + gap for text in texts) + b"]"
    assert [item.payload for item in items(body, "application/json")] == texts
    lines = [json.dumps(value, ensure_ascii=False).encode() for value in values]
    assert [item.payload for item in items(b"\r\n".join(lines), LINES)] == lines


@given(
    st.lists(
        st.tuples(st.dictionaries(TEXT, JSON, max_size=2), st.lists(JSON, min_size=1, max_size=3)),
        min_size=1,
        max_size=3,
    ),
    st.dictionaries(TEXT, JSON, max_size=2),
)
def test_a_batch_can_be_put_together_again_from_its_items_and_envelopes(
    entries: list[tuple[dict[str, Any], list[Any]]], around: dict[str, Any]
) -> None:
    """Nothing of an object between the body and its items is lost: every other member stands in their envelopes."""
    sent = {**around, "entry": [{**members, "changes": changes} for members, changes in entries]}
    found = items(json.dumps(sent).encode(), "application/json", How(paths=(("entry", "*", "changes", "*"),)))
    assert [json.loads(item.payload) for item in found] == [each for _, changes in entries for each in changes]
    at = iter(found)
    for members, changes in entries:
        for _ in changes:
            envelope = json.loads(next(at).envelope or b"{}")
            inner = envelope.pop("entry", {})
            assert inner == {name: value for name, value in members.items() if name != "changes"}
            assert envelope == {name: value for name, value in around.items() if name != "entry"}


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_a_form_holds_every_field_in_order(pairs: list[tuple[str, str]]) -> None:
    body = b"&".join(f"{quote_from_bytes(a.encode())}={quote_from_bytes(b.encode())}".encode() for a, b in pairs)
    [item] = items(body, FORM, How(form="fields"))
    held = [
        (name, each) for name, value in item.value.items() for each in (value if isinstance(value, list) else [value])
    ]
    assert sorted(held) == sorted(pairs)
    for name, value in item.value.items():
        assert (value if isinstance(value, list) else [value]) == [b for a, b in pairs if a == name]


@given(
    st.lists(st.sampled_from([b"%41", b"%e9", b"%", b"%4", b"=", b"+", b"\r\n", b"_", b"x", b"\xff"]), max_size=12),
    st.integers(0, 2) | st.integers(65_500, 65_540),
)
def test_percent_signs_are_undone_as_the_standard_library_does_wherever_a_piece_ends(
    parts: list[bytes], pad: int
) -> None:
    value = b"y" * pad + b"".join(parts)
    assert form.pairs(b"a=" + value) == [(b"a", unquote_to_bytes(value.replace(b"+", b" ")))]


PART = st.tuples(st.text("abc", min_size=1, max_size=2), st.binary(max_size=30), st.booleans())


@given(st.lists(PART, min_size=1, max_size=4))
def test_of_a_file_every_byte_counts_and_of_a_field_every_character(parts: list[tuple[str, bytes, bool]]) -> None:
    boundary = "zz--zz"
    body, expected = b"", dict[str, list[Any]]()
    for name, content, is_file in parts:
        text = content if is_file else content.decode("latin-1").encode()
        more = '; filename="f"' if is_file else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + text + b"\r\n"
        made = {"filename": "f", "contentType": None, "size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
        expected.setdefault(name, []).append(made if is_file else text.decode())
    [item] = items(body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}")
    assert item.value == {name: values if len(values) > 1 else values[0] for name, values in expected.items()}


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4), st.integers(0, 9))
def test_what_was_compressed_comes_out_again_and_a_stump_never_does(pieces: list[bytes], level: int) -> None:
    whole = b"".join(pieces)
    made = b"".join(gzip.compress(piece, level) for piece in pieces)
    assert inflate.inflate(made, "gzip", len(whole)) == whole
    assert inflate.inflate(zlib.compress(whole, level), "deflate", len(whole)) == whole
    for stump in (made[:-1], made + b"x", made[: len(made) // 2] if len(pieces) == 1 else b""):
        with pytest.raises(Poison) as caught:
            inflate.inflate(stump, "gzip", len(whole))
        assert caught.value.reason is Reason.NOT_PARSEABLE


@given(st.binary(min_size=1, max_size=300), st.sampled_from([1, 2, 1_000]), st.sampled_from(["gzip", "deflate"]))
def test_one_byte_more_than_the_limit_is_too_much(piece: bytes, times: int, coding: str) -> None:
    whole = piece * times
    made = gzip.compress(whole) if coding == "gzip" else zlib.compress(whole)
    assert inflate.inflate(made, coding, len(whole)) == whole
    with pytest.raises(Poison) as caught:
        inflate.inflate(made, coding, len(whole) - 1)
    assert caught.value.reason is Reason.TOO_LARGE


DIGITS = st.text("0123456789", min_size=20, max_size=40)
NUMBERS = st.builds(
    lambda sign, whole, rest: sign + (whole.lstrip("0") or "0") + (f".{rest}" if rest else ""),
    st.sampled_from(["", "-"]), DIGITS, st.none() | DIGITS,
)  # fmt: skip


@given(NUMBERS, NUMBERS)
def test_long_numbers_are_told_apart_by_every_digit(one: str, other: str) -> None:
    texts = [b'{"n":%s}' % number.encode() for number in (one, other)]
    spelled = [orjson.dumps(numbers.spelled(text)) for text in texts]
    same = Decimal(one) == Decimal(other) and ("." in one) == ("." in other)
    assert same or spelled[0] != spelled[1]
    assert not (same and Decimal(one)) or spelled[0] == spelled[1]
    for number, text in zip((one, other), texts, strict=True):
        held = Decimal(repr(orjson.loads(text)["n"])) == Decimal(number)
        assert numbers.odd(text) is not held
        assert "." in number or numbers.exact(text)["n"] == int(number)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1))
def test_a_number_that_a_double_or_64_bits_hold_is_not_odd(value: float) -> None:
    assert not numbers.odd(orjson.dumps({"n": value, "t": "00000000000000000000"}))
