"""Which key an event is about, how late a version it is, and whether it deletes the key: read from its bytes.

Lives here: three columns of an upsert table beside the others. Pure. They come from the payload as sent and not from
its typed columns, so a key is the same whatever its column's type, name or layout, and the index can be read back from
the table alone. https://datatracker.ietf.org/doc/html/rfc6901 (paths)
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import UNSET, Raw, UnsetType

from schemas.definitions.stream import StreamDefinition
from sinks.columns.key import Key, key_of
from sinks.columns.policy import Path, path_of
from sinks.rows import decode, salvage, system
from sinks.rows.cuts import cuttable
from sinks.rows.system import Record
from sinks.upsert import scalars

_MEMBERS = msgspec.json.Decoder(dict[str, Raw])


@dataclass(frozen=True, slots=True)
class Keys:
    """What a definition says of versions, and when an event deletes its key."""

    key: Key
    delete: tuple[Path, tuple[str | int | bool, ...]] | None = None


def keys_of(definition: StreamDefinition) -> Keys | None:
    """Return the keys of an upsert stream; None for one that appends."""
    key = key_of(definition.primary_key, definition.sequence_field)
    if key is None or definition.write_mode != "upsert":
        return None
    delete = definition.delete_when
    return Keys(key, None if delete is None else (path_of(delete.path), delete.values))


class KeyColumns:
    """Reads batch after batch of one stream."""

    def __init__(self, keys: Keys) -> None:
        paths: list[Path] = [(name,) for name in keys.key.members]
        self._count = len(paths)
        self._sequence: int | None = None
        self._delete: int | None = None
        self._deletes: frozenset[str | None] = frozenset()
        if keys.key.sequence is not None:
            self._sequence = len(paths)
            paths.append(keys.key.sequence)
        if keys.delete is not None:
            self._delete = len(paths)
            paths.append(keys.delete[0])
            self._deletes = frozenset(scalars.canonical(json.dumps(value).encode()) for value in keys.delete[1])
        self._paths = paths
        roots = list(dict.fromkeys(path[0] for path in paths))
        self._places = [roots.index(path[0]) for path in paths]
        self._decode: Callable[[bytes], Any] | None = None
        if all(cuttable((root,)) for root in roots):
            fields = [(f"m{at}", Raw | UnsetType, UNSET) for at in range(len(roots))]
            renamed = {f"m{at}": root for at, root in enumerate(roots)}
            payload = msgspec.defstruct("Payload", fields, rename=renamed, gc=False)
            event = msgspec.defstruct("Event", [("payload", payload)], gc=False)
            self._decode = msgspec.json.Decoder(event).decode

    def read(self, records: Sequence[Record]) -> dict[str, pa.Array]:
        """Return the three columns of `records`, by name; total: what has no key, or no whole one, has null there."""
        keys: list[str | None] = []
        sequences: list[str | None] = []
        deletes: list[bool | None] = []
        for record in records:
            found = self._values(record)
            texts = found[: self._count]
            keyed = None not in texts
            keys.append(f"[{','.join(texts)}]" if keyed else None)  # type: ignore[arg-type]  # none is None
            sequences.append(None if self._sequence is None else found[self._sequence])
            gone = keyed and self._delete is not None and found[self._delete] in self._deletes
            deletes.append(True if gone else None)
        key, sequence, tombstone = (column.name for column in system.KEYED)
        return {
            key: pa.array(keys, pa.string()),
            sequence: pa.array(sequences, pa.string()),
            tombstone: pa.array(deletes, pa.bool_()),
        }

    def _values(self, record: Record) -> list[str | None]:
        """Return the canonical text at each path; None where there is no scalar."""
        if self._decode is not None:
            try:
                payload = self._decode(record.value).payload
                roots = [getattr(payload, name) for name in payload.__struct_fields__]
                return [self._at(roots[place], path) for place, path in zip(self._places, self._paths, strict=True)]
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pass
        return self._slowly(record)

    @staticmethod
    def _at(raw: Any, path: Path) -> str | None:  # noqa: ANN401 Raw, or unset
        if raw is UNSET:
            return None
        for step in path[1:]:
            if bytes(raw)[:1] != b"{":
                return None
            raw = _MEMBERS.decode(raw).get(step)
            if raw is None:
                return None
        return scalars.canonical(bytes(raw))

    def _slowly(self, record: Record) -> list[str | None]:
        """Do the same for a payload that the quick decoder refuses."""
        payload = salvage.read(system.heads([record]).payloads()[0]).value
        found: list[str | None] = []
        for path in self._paths:
            value: Any = payload
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            plain = value is not None and not isinstance(value, (dict, list))
            found.append(scalars.canonical(decode.dump(value).encode()) if plain else None)
        return found
