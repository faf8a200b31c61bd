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

from sinks.columns import names
from sinks.columns.policy import Limits
from sinks.columns.shape import Branch, Kind, arrow_type, leaves
from sinks.rows import digits, salvage
from sinks.rows.cuts import Cutter, Path, cuttable
from sinks.rows.system import COLUMNS, PAYLOAD, head_columns

_BLOCK = 1 << 20
_TYPELESS = frozenset((b"[]", b"{}"))
_POSITION = pa.struct(
    [("topicId", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("item", pa.int32())]
)
_ENVELOPE: Path = ("envelope",)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of consecutive events: every system column, and the payload as a struct of the shape's Arrow type."""

    columns: dict[str, pa.Array]
    payload: pa.Array


class Bulk:
    """The quick path for one shape; `waiting` are paths of members without a column, `cut` says whether to look."""

    def __init__(self, shape: Branch, limits: Limits, waiting: Sequence[Path], *, envelopes: bool) -> None:
        self.shape = shape
        self._type = arrow_type(shape)
        found = list(_json_paths(shape, ()))
        self._json = [path for path in found if cuttable(path)]
        self._usable = len(self._json) == len(found)
        self._waiting = [path for path in waiting if _waits(shape, path) and cuttable(path)]
        self._full = leaves(shape) >= limits.max_columns
        self._cutter = Cutter(
            [*([_ENVELOPE] if envelopes or self._json or self._waiting else []),
             *((PAYLOAD, *path) for path in (*self._json, *self._waiting))]
        )  # fmt: skip
        self._numbers = digits.Check(shape)
        members = [pa.field(column.member, pa.string()) for column in COLUMNS if column.member]
        plain = _without_json(self._type, shape)
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
        columns["_extra"] = extra
        columns["_raw"] = pa.nulls(len(values), pa.string())
        json = {path: pa.array(cut[PAYLOAD, *path], pa.string()) for path in self._json}
        return Part(columns, _assembled(payload, self.shape, json, ()))

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

    def _extra(self, waiting: list[list[bytes | None]], rows: int) -> pa.Array | None:
        """Return the `_extra` column, None when a member that waited shows a type by now."""
        made: dict[int, list[bytes]] = {}
        for path, texts in zip(self._waiting, waiting, strict=True):
            name = b""
            keeps = self._full or not names.usable(path[-1])
            for row, text in enumerate(texts):
                if text is None:
                    continue
                if not keeps and text not in _TYPELESS:
                    return None
                name = name or orjson.dumps("".join(map(salvage.pointer, path)))
                made.setdefault(row, []).append(name + b":" + text)
        if not made:
            return pa.nulls(rows, pa.string())
        kept = [b"{" + b",".join(made[row]) + b"}" if row in made else None for row in range(rows)]
        return pa.array(kept, pa.string())


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


def _json_paths(shape: Branch, at: Path) -> Iterator[Path]:
    for name, child in shape.fields.items():
        if isinstance(child, Branch):
            yield from _json_paths(child, (*at, name))
        elif child is Kind.JSON:
            yield (*at, name)


def _waits(shape: Branch, path: Path) -> bool:
    """Tell whether a member has no column while what encloses it is a struct."""
    for step in path[:-1]:
        child = shape.fields.get(step)
        if not isinstance(child, Branch):
            return False
        shape = child
    return path[-1] not in shape.fields


def _without_json(kind: pa.StructType, shape: Branch) -> pa.StructType:
    fields = []
    for field in kind:
        child = shape.fields[field.name]
        if isinstance(child, Branch):
            fields.append(pa.field(field.name, _without_json(field.type, child)))
        elif child is not Kind.JSON:
            fields.append(field)
    return pa.struct(fields)


def _known(have: pa.StructType, shape: Branch) -> bool:
    """Tell whether all that was read has a column; members that were only ever null need none."""
    for field in have:
        child = shape.fields.get(field.name)
        if child is None or child is Kind.JSON:
            if not pa.types.is_null(field.type):
                return False
        elif isinstance(child, Branch) and pa.types.is_struct(field.type) and not _known(field.type, child):
            return False
    return True


def _assembled(column: pa.StructArray, shape: Branch, json: dict[Path, pa.Array], at: Path) -> pa.StructArray:
    """Return what was read in the shape's order, with the JSON texts in their places."""
    children = []
    for name, child in shape.fields.items():
        if child is Kind.JSON:
            children.append(json[*at, name])
            continue
        inner = column.field(name)
        children.append(_assembled(inner, child, json, (*at, name)) if isinstance(child, Branch) else inner)
    mask = column.is_null() if column.null_count else None
    return pa.StructArray.from_arrays(children, fields=list(arrow_type(shape)), mask=mask)
