"""The rings of refused requests: gathered by each worker, redacted and explained off the loop, kept by the registry.

Lives here: what is remembered until the next flush, and how an entry looks. A request costs an append; at most once a
second a thread redacts, explains the newest few and hands all to the sink. Bounds: KEPT a source, PENDING and
PENDING_BYTES in all, MAX_SOURCES; past them the oldest of the fullest ring go. A failing sink never disturbs a request.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingress import redact
from ingress.diagnosis import Finding
from schemas.definitions.view import SourceView
from schemas.ids import uuid7
from schemas.logs import logger
from schemas.ports import Clock, TallySink
from schemas.signing import SignedRequest

KEPT = 50
PENDING = 1_000
PENDING_BYTES = 4 << 20
MAX_SOURCES = 256
EVERY_S = 1.0
EXPLAINED, EXPLAINED_OF_ONE = 4, 2
"""Of one flush; of one source in it: a flood of one mistake has one explanation."""
MAX_HEADERS, MAX_NAME, MAX_VALUE, MAX_HEADER_CHARS = 60, 80, 300, 4_000
MAX_URL, MAX_DETAIL = 500, 800
_ENTRY_BYTES = 500
_FLUSH_LIMIT_S = 5.0
_KEY_TEXT = re.compile(r"\b(hbk_|whsec_|whsk_)[A-Za-z0-9_\-+/=]{4,}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NS_IN_MS, _S_IN_MS, _RANDOM = 1_000_000, 1_000, 10
_log = logger("ingress")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused request of a source. `path` and `query` are fit to be stored; `request` None: it is not explained."""

    source: SourceView
    reason: str
    status: int
    detail: str
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body_bytes: int | None = None
    request: SignedRequest | None = field(default=None, repr=False)

    def size(self) -> int:
        """Return about how many bytes it holds."""
        held = 0 if self.request is None else len(self.request.body)
        return _ENTRY_BYTES + held + len(self.query) + sum(len(name) + len(value) for name, value in self.headers)


Explain = Callable[[SourceView, SignedRequest, float], Sequence[Finding]]


class Refusals:
    """Remembers refusals until they are flushed; `explain` runs in a thread."""

    def __init__(self, sink: TallySink, clock: Clock, random_bytes: Callable[[int], bytes], explain: Explain) -> None:
        self._sink = sink
        self._clock = clock
        self._random_bytes = random_bytes
        self._explain = explain
        self._rings: dict[str, deque[tuple[int, Refusal]]] = {}
        self._count = self._bytes = self._left_out = 0
        self._unsent: list[dict[str, Any]] = []

    @property
    def held(self) -> tuple[int, int]:
        """Return how many refusals wait, and about how many bytes they hold."""
        return self._count, self._bytes

    def note(self, refusal: Refusal) -> None:
        """Remember one refusal; the oldest of the fullest ring makes room."""
        ring = self._rings.get(refusal.source.id)
        if ring is None:
            if len(self._rings) >= MAX_SOURCES:
                self._left_out += 1
                return
            ring = self._rings[refusal.source.id] = deque()
        ring.append((self._clock.time_ns() // _NS_IN_MS, refusal))
        self._count += 1
        self._bytes += refusal.size()
        if len(ring) > KEPT:
            self._drop(ring)
        while self._count > PENDING or (self._bytes > PENDING_BYTES and self._count > 1):
            self._drop(max(self._rings.values(), key=len))

    async def flush(self) -> bool:
        """Hand what waits to the sink; False when it failed (a bounded part is sent again with the next)."""
        if self._left_out:
            _log.info("refusals_left_out", count=self._left_out)
        taken, self._rings = self._rings, {}
        self._count = self._bytes = self._left_out = 0
        try:
            if taken:
                made = await asyncio.to_thread(self._entries, taken)
                self._unsent = [*self._unsent, *made][-PENDING:]
            if self._unsent:
                async with asyncio.timeout(_FLUSH_LIMIT_S):
                    await self._sink.keep(self._unsent)
                self._unsent = []
        except Exception as exc:  # noqa: BLE001 what is only shown to people must never disturb the data plane
            _log.warning("refusals_not_flushed", error=type(exc).__name__, sources=len(taken))
            return False
        return True

    async def run(self) -> None:
        """Flush for ever, once a second; cancelled at the end, after which the caller flushes once more."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()

    def _drop(self, ring: deque[tuple[int, Refusal]]) -> None:
        _, gone = ring.popleft()
        self._count -= 1
        self._bytes -= gone.size()
        self._left_out += 1
        if not ring:
            del self._rings[gone.source.id]

    def _entries(self, taken: Mapping[str, deque[tuple[int, Refusal]]]) -> list[dict[str, Any]]:
        """Make the rows of a flush, oldest first; runs in a thread."""
        told = self._explained(taken)
        rows = []
        for source_id, ring in taken.items():
            for at_ms, refusal in ring:
                entry = {**_entry(refusal), "causes": told.get(id(refusal), [])}
                made = str(uuid7(at_ms, self._random_bytes(_RANDOM)))
                rows.append({"id": made, "source_id": source_id, "at_ms": at_ms, "document": entry})
        return sorted(rows, key=lambda row: row["at_ms"])

    def _explained(self, taken: Mapping[str, deque[tuple[int, Refusal]]]) -> dict[int, list[dict[str, Any]]]:
        """Return the causes of the newest few refusals, by their identity: of each source one, then a second."""
        wanted: list[tuple[int, Refusal]] = []
        for turn in range(EXPLAINED_OF_ONE):
            for ring in taken.values():
                able = [one for one in reversed(ring) if one[1].request is not None]
                wanted += able[turn : turn + 1]
        found = {}
        for at_ms, refusal in wanted[:EXPLAINED]:
            if refusal.request is not None:
                causes = self._explain(refusal.source, refusal.request, at_ms / _S_IN_MS)
                found[id(refusal)] = [
                    {"cause": one.cause.value, "detail": _cut(one.detail, MAX_DETAIL), "certain": one.certain}
                    for one in causes
                ]
        return found


def _entry(refusal: Refusal) -> dict[str, Any]:
    """Return what is kept of a refusal: bounded, and nothing secret in it."""
    secrets = redact.writings(each.value for each in refusal.source.secrets)
    also = redact.carriers(refusal.source.definition.auth)
    query = redact.query(refusal.query, also)
    return {
        "reason": refusal.reason,
        "status": refusal.status,
        "detail": _cut(refusal.detail, MAX_DETAIL),
        "method": refusal.method[:MAX_NAME],
        "url": _cut(_hidden(f"{refusal.path}?{query}" if query else refusal.path, secrets), MAX_URL),
        "headers": _headers(redact.headers(refusal.headers, also), secrets),
        "bodyBytes": refusal.body_bytes,
    }


def _headers(given: tuple[tuple[str, str], ...], secrets: Sequence[str]) -> list[list[str]]:
    shown: list[list[str]] = []
    left = MAX_HEADER_CHARS
    for name, value in given[:MAX_HEADERS]:
        pair = [_cut(_hidden(name, secrets), MAX_NAME), _cut(_hidden(value, secrets), MAX_VALUE)]
        left -= len(pair[0]) + len(pair[1])
        if left < 0:
            break
        shown.append(pair)
    return shown


def _hidden(text: str, secrets: Sequence[str]) -> str:
    """Hide a secret wherever it was put by mistake: the source's own, and what looks like one of ours."""
    return _KEY_TEXT.sub(redact.HIDDEN, redact.without(text, secrets))


def _cut(text: str, most: int) -> str:
    clean = _CONTROL.sub("?", text)
    return clean if len(clean) <= most else clean[: most - 1] + "…"
