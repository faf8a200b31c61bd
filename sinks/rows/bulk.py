"""Many events to Arrow at once: the quick path.

Lives here: one call of pyarrow.json over events whole, with the schema that the table has, and the proof that it lost
nothing; whatever cannot be proved is left to the tolerant path (events.py chooses). pyarrow.json refuses a member named
twice and what does not fit its type; it does not check UTF-8, and it rounds numbers. JSON text columns, the envelope
and members that wait for a column are cut out first (cuts.py). Measurements: sinks/README.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as paj

from sinks.columns.policy import Contract, Infer, Limits, Mode
from sinks.columns.shape import Branch, Decimals, Kind, Leaf, arrow_type, leaves
from sinks.rows import digits, forms, salvage
from sinks.rows.cuts import Cutter, Path, cuttable
from sinks.rows.system import COLUMNS, PAYLOAD, head_columns

_BLOCK = 1 << 20
_TYPELESS = frozenset((b"[]", b"{}"))
_POSITION = pa.struct(
    [("topicId", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("item", pa.int32())]
)
_ENVELOPE: Path = ("envelope",)
_NUMBER = r"^-?[0-9]{1,38}(\.[0-9]{1,38})?$"
_TIMES = (Kind.TIME, Kind.DATE)
_OPEN = Contract()


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of consecutive events: every system column, and the payload as a struct of the shape's Arrow type.

    `discarded`: numbers of the rows that the contract does not take; `dropped`: values that it has left out.
    """

    columns: dict[str, pa.Array]
    payload: pa.Array
    discarded: Sequence[int] = ()
    dropped: int = 0


class Bulk:
    """The quick path for one shape; `waiting` are paths of members without a column, `cut` says whether to look."""

    def __init__(
        self, shape: Branch, limits: Limits, waiting: Sequence[Path], contract: Contract = _OPEN, *, envelopes: bool
    ) -> None:
        self.shape = shape
        found = dict(_cut_paths(shape, ()))
        self._texts = {path: kind for path, kind in found.items() if cuttable(path)}
        self._usable = len(self._texts) == len(found)
        self._waiting = [path for path in waiting if _waits(shape, path) and cuttable(path)]
        self._contract = contract
        full = leaves(shape) >= limits.max_columns
        self._stay = {
            path
            for path in self._waiting
            if contract.infer is not Infer.ALWAYS or not limits.usable(path) or (full and path not in limits.named)
        }
        self._cutter = Cutter(
            [*([_ENVELOPE] if envelopes or self._texts or self._waiting else []),
             *((PAYLOAD, *path) for path in (*self._texts, *self._waiting))]
        )  # fmt: skip
        self._numbers = digits.Check(shape)
        members = [pa.field(column.member, pa.string()) for column in COLUMNS if column.member]
        plain = _parsed(shape)
        self._parse = paj.ParseOptions(
            explicit_schema=pa.schema([*members, pa.field("position", _POSITION), pa.field(PAYLOAD, plain)]),
            unexpected_field_behavior="infer",
        )

    def read(self, values: Sequence[bytes], now_us: int) -> Part | None:
        """Return the rows of events, None when they are not all of the plain kind."""
        try:
            return self._read(values, now_us) if self._usable else None
        except (pa.ArrowException, ValueError, RecursionError):
            return None

    def _read(self, values: Sequence[bytes], now_us: int) -> Part | None:
        text, texts = self._text(values)
        if not text.isascii():
            text.decode()
        if self._numbers.may_be_rounded(text):
            return None
        options = paj.ReadOptions(block_size=max(_BLOCK, len(text) + 1), use_threads=False)
        table = paj.read_json(pa.py_buffer(text), read_options=options, parse_options=self._parse)
        if table.num_rows != len(values):
            return None
        found = {name: table.column(name).combine_chunks() for name in table.column_names}
        payload, position = found[PAYLOAD], found["position"]
        if payload.null_count or not _placed(position) or not _known(payload.type, self.shape):
            return None
        envelope = found.get("envelope")
        if envelope is not None and not pa.types.is_null(envelope.type):
            return None
        cut = dict(zip(self._cutter.paths, texts, strict=True))
        extra = self._extra([cut[PAYLOAD, *path] for path in self._waiting], len(values))
        if extra is None:
            return None
        columns = head_columns(found, {field.name: position.field(field.name) for field in _POSITION}, now_us)
        columns["envelope"] = pa.array(cut.get(_ENVELOPE) or [None] * len(values), pa.string())
        columns["_extra"], discarded, dropped = extra
        beside: list[tuple[bytes, pa.Array]] = []
        cuts = {path: _column(cut[PAYLOAD, *path], kind) for path, kind in self._texts.items()}
        made = _assembled(payload, self.shape, cuts, (), beside)
        columns["_raw"] = forms.pointed(beside, len(values))
        return Part(columns, made, discarded, dropped)

    def _text(self, values: Sequence[bytes]) -> tuple[bytes, list[list[bytes | None]]]:
        if not self._cutter.paths:
            text = b"\n".join(values)
            if text.count(b"\n") == len(values) - 1 and b"\r" not in text:
                return text, []
        pieces: list[bytes] = []
        texts = self._cutter.cut(values, pieces)
        text = b"".join(pieces)
        if text.count(b"\n") != len(values) or b"\r" in text:  # white space: valid JSON has none inside its strings
            text = b"\n".join(one.replace(b"\n", b" ").replace(b"\r", b" ") for one in _rows(pieces))
        return text, texts

    def _extra(self, waiting: list[list[bytes | None]], rows: int) -> tuple[pa.Array, Sequence[int], int] | None:
        """Return the `_extra` column, rows not taken and values left out; None when a member shows a type by now."""
        made: dict[int, list[bytes]] = {}
        for path, texts in zip(self._waiting, waiting, strict=True):
            name = b""
            keeps = path in self._stay
            for row, text in enumerate(texts):
                if text is None:
                    continue
                if not keeps and text not in _TYPELESS:
                    return None
                name = name or pointer(path)
                made.setdefault(row, []).append(name + b":" + text)
        if not made:
            return pa.nulls(rows, pa.string()), (), 0
        if self._contract.columns is Mode.DISCARD_ROW:
            return pa.nulls(rows, pa.string()), sorted(made), 0
        if self._contract.columns is Mode.DISCARD_VALUE:
            return pa.nulls(rows, pa.string()), (), sum(map(len, made.values()))
        kept = [b"{" + b",".join(made[row]) + b"}" if row in made else None for row in range(rows)]
        return pa.array(kept, pa.string()), (), 0


def pointer(path: Path) -> bytes:
    """Return a JSON pointer as JSON text."""
    return orjson.dumps("".join(map(salvage.pointer, path)))


def _rows(pieces: list[bytes]) -> Iterator[bytes]:
    row: list[bytes] = []
    for piece in pieces:
        if piece == b"\n":
            yield b"".join(row)
            row = []
        else:
            row.append(piece)


def _placed(position: pa.StructArray) -> bool:
    fields = [position.field(number) for number in range(position.type.num_fields)]
    if position.null_count or any(field.null_count for field in fields):
        return False
    return all(pc.min(field).as_py() >= 0 for field in fields[1:])


def _cut_paths(shape: Branch, at: Path) -> Iterator[tuple[Path, Leaf]]:
    """Yield the columns whose values are cut out as text: pyarrow.json keeps no text, and no 16 digits of a double."""
    for name, child in shape.fields.items():
        if isinstance(child, Branch):
            yield from _cut_paths(child, (*at, name))
        elif _is_cut(child):
            yield (*at, name), child


def _is_cut(kind: Leaf) -> bool:
    return kind is Kind.JSON or (isinstance(kind, Decimals) and not kind.scale)


def _column(texts: list[bytes | None], kind: Leaf) -> pa.Array:
    """Return a column of values that were cut out; raises ValueError, ArrowInvalid when one does not fit."""
    column = pa.array(texts, pa.string())
    if not isinstance(kind, Decimals):
        return column
    if pc.all(pc.match_substring_regex(column, _NUMBER)).as_py() is False:
        raise ValueError("not a plain number")
    return column.cast(arrow_type(kind))


def _waits(shape: Branch, path: Path) -> bool:
    """Tell whether a member has no column while what encloses it is a struct."""
    for step in path[:-1]:
        child = shape.fields.get(step)
        if not isinstance(child, Branch):
            return False
        shape = child
    return path[-1] not in shape.fields


def _parsed(shape: Branch) -> pa.StructType:
    """Return what pyarrow.json is asked for: nothing that is cut out, times and dates as texts, decimals as doubles.

    As a decimal it would take the text "1.5" for 1.5.
    """
    fields = []
    for name, child in shape.fields.items():
        if isinstance(child, Branch):
            fields.append(pa.field(name, _parsed(child)))
        elif not _is_cut(child):
            read = (
                pa.float64() if isinstance(child, Decimals) else pa.string() if child in _TIMES else arrow_type(child)
            )
            fields.append(pa.field(name, read))
    return pa.struct(fields)


def _known(have: pa.StructType, shape: Branch) -> bool:
    """Tell whether all that was read has a column; members that were only ever null need none."""
    for field in have:
        child = shape.fields.get(field.name)
        if child is None or (not isinstance(child, Branch) and _is_cut(child)):
            if not pa.types.is_null(field.type):
                return False
        elif isinstance(child, Branch) and pa.types.is_struct(field.type) and not _known(field.type, child):
            return False
    return True


def _assembled(
    column: pa.StructArray, shape: Branch, cuts: dict[Path, pa.Array], at: Path, beside: list[tuple[bytes, pa.Array]]
) -> pa.StructArray:
    """Return what was read in the shape's order, with what was cut in its place; texts for `_raw` go to `beside`."""
    children = []
    for name, child in shape.fields.items():
        path = (*at, name)
        if path in cuts:
            children.append(cuts[path])
            continue
        inner = column.field(name)
        if isinstance(child, Branch):
            inner = _assembled(inner, child, cuts, path, beside)
        elif child is Kind.TIME:
            inner, others = forms.times(inner)
            if others is not None:
                beside.append((pointer(path), others))
        elif child is Kind.DATE:
            inner = forms.dates(inner)
        elif isinstance(child, Decimals):
            inner = forms.decimals(inner, arrow_type(child))
        children.append(inner)
    mask = column.is_null() if column.null_count else None
    return pa.StructArray.from_arrays(children, fields=list(arrow_type(shape)), mask=mask)
