"""Values cut out of JSON text as they stand: JSON text columns, and what has no column.

Lives here: finding such values in an event's bytes, and the bytes without them. pyarrow.json can neither keep a value's
text nor read what differs from row to row, so those values are taken out first and `null` stands in their place.
msgspec's Raw is a view of the message (https://jcristharif.com/msgspec/api.html#raw): its address says where it stood.
Its decoder checks the whole text on the way (RFC 8259), all but UTF-8 and members named twice.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import UNSET, Raw, UnsetType

Path = tuple[str, ...]
_NULL = b"null"


def cuttable(path: Path) -> bool:
    """Tell whether a value at `path` can be looked for: msgspec takes no name that JSON text must escape."""
    return all('"' not in step and "\\" not in step and step.isprintable() for step in path)


class Cutter:
    """Cuts the values at `paths` out of events; made once per set of paths, which must be `cuttable`."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        tree: dict[str, Any] = {}
        for path in self.paths:
            inner = tree
            for step in path[:-1]:
                inner = inner.setdefault(step, {})
            inner[path[-1]] = None
        names: dict[Path, tuple[str, ...]] = {}
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(_struct(tree, (), (), names)).decode
        self._fields = [names[path] for path in self.paths]

    def cut(self, values: Iterable[bytes], pieces: list[bytes]) -> list[list[bytes | None]]:
        """Append each value without what is cut, and a newline, to `pieces`; return the texts by path, then by row.

        Raises ValueError when a value is no JSON, or a path leads through something that is no object.
        """
        texts: list[list[bytes | None]] = [[] for _ in self.paths]
        for value in values:
            root = self._decode(value)
            begin = pa.py_buffer(value).address if self._fields else 0
            found = []
            for fields, column in zip(self._fields, texts, strict=True):
                raw = _at(root, fields)
                if raw is None or (text := bytes(raw)) == _NULL:
                    column.append(None)
                    continue
                column.append(text)
                found.append((pa.py_buffer(raw).address - begin, text))
            if len(found) > 1:
                found.sort()
            end = 0
            for at, text in found:
                if not value.startswith(text, at):
                    raise ValueError("a cut value does not stand where it should")
                pieces += (value[end:at], _NULL)
                end = at + len(text)
            pieces += (value[end:] if end else value, b"\n")
        return texts


def _at(value: Any, fields: tuple[str, ...]) -> Raw | None:  # noqa: ANN401 a made struct
    for field in fields:
        value = getattr(value, field)
        if value is None or value is UNSET:
            return None
    return value  # type: ignore[no-any-return]


def _struct(tree: dict[str, Any], at: Path, way: tuple[str, ...], names: dict[Path, tuple[str, ...]]) -> type:
    """Make the struct of a tree of members; note under each path the attributes that lead there."""
    fields: list[tuple[str, Any, Any]] = []
    renamed: dict[str, str] = {}
    for number, (member, inner) in enumerate(tree.items()):
        field = f"m{number}"
        renamed[field] = member
        if inner is None:
            names[*at, member] = (*way, field)
            fields.append((field, Raw | UnsetType, UNSET))
        else:
            nested = _struct(inner, (*at, member), (*way, field), names)
            fields.append((field, nested | None | UnsetType, UNSET))
    return msgspec.defstruct("Cut", fields, rename=renamed, gc=False)
