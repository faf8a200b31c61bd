"""Compiled contracts by (tenant, subject@version): versions are immutable, so one compile a version is enough.

Lives here: the bounded cache. Not here: compiling (compile.py), the registry's snapshot (passed in).
"""

from collections import OrderedDict
from collections.abc import Mapping

from schemas.contracts.compile import Contract, compile_schema

MAX_CONTRACTS = 4_096


class Library:
    """Keeps at most `limit` compiled contracts; the least recently used goes first. Not for several threads."""

    def __init__(self, limit: int = MAX_CONTRACTS) -> None:
        self._limit = limit
        self._compiled: OrderedDict[tuple[str, str], tuple[bytes, Contract]] = OrderedDict()

    def get(self, schemas: Mapping[tuple[str, str], bytes], tenant: str, version: str) -> Contract | None:
        """Return the contract of `subject@version`, None when the snapshot does not hold it.

        `schemas` is `Snapshot.schemas`. Raises `Refused(invalid_definition)` when the stored text is unusable. A
        subject deleted and made again has other texts under the same names: the text decides, not the name.
        """
        key = (tenant, version)
        text = schemas.get(key)
        if text is None:
            return None
        kept = self._compiled.get(key)
        if kept is not None and kept[0] is text:
            self._compiled.move_to_end(key)
            return kept[1]
        same = kept is not None and kept[0] == text and type(kept[0]) is type(text)
        made = kept[1] if kept is not None and same else compile_schema(text)
        self._compiled[key] = text, made
        self._compiled.move_to_end(key)
        if len(self._compiled) > self._limit:
            self._compiled.popitem(last=False)
        return made

    def __len__(self) -> int:
        """Return how many are compiled now."""
        return len(self._compiled)
