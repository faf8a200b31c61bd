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
        self._compiled: OrderedDict[tuple[str, str], Contract] = OrderedDict()

    def get(self, schemas: Mapping[tuple[str, str], bytes], tenant: str, version: str) -> Contract | None:
        """Return the contract of `subject@version`, None when the snapshot does not hold it.

        `schemas` is `Snapshot.schemas`. Raises `Refused(invalid_definition)` when the stored text is unusable.
        """
        key = (tenant, version)
        text = schemas.get(key)
        if text is None:
            return None
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = compile_schema(text)
            if len(self._compiled) > self._limit:
                self._compiled.popitem(last=False)
        else:
            self._compiled.move_to_end(key)
        return found

    def __len__(self) -> int:
        """Return how many are compiled now."""
        return len(self._compiled)
