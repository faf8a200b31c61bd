"""Counters of one worker: by source to the registry in batches (rule 24), by outcome to the metrics.

Absolute since the process start, so a lost flush loses nothing. A failing sink is logged and tried again; it never
disturbs a request. Refusals are logged here too, a bounded number a second.
"""

import asyncio
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ingress.arrival import Reply
from schemas.logs import logger
from schemas.metrics import Metrics
from schemas.ports import TallySink
from schemas.reasons import Reason

LOGGED_A_SECOND = 20
MAX_USED = 64
"""Secrets and URLs whose last use a worker remembers of one source; it may have six of its own at a time."""
MAX_SHOWN = 6
"""Of these, as many are told to Prometheus: a source's own."""
_AUTHENTICATION = frozenset(one.value for one in Reason if one.status == HTTPStatus.UNAUTHORIZED)
_ACCEPTED = ("accepted", "")
_FLUSH_LIMIT_S = 5.0
ACTIVE_MS = 60_000
_TAKEN = frozenset({"accepted", "shed"})
_log = logger("ingress")


@dataclass(slots=True)
class _Row:
    accepted: int = 0
    handshakes: int = 0
    shed: int = 0
    last_event_at_ms: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    secret_last_used: dict[str, int] = field(default_factory=dict)


class Tally:
    """Counts replies; `flush` hands what has changed to the sink."""

    def __init__(self, sink: TallySink, process_start: str, metrics: Metrics, *, now_ms: Callable[[], int]) -> None:
        self._sink = sink
        self._start = process_start
        self._now_ms = now_ms
        self._rows: dict[str, _Row] = {}
        self._dirty: set[str] = set()
        self._active: dict[str, int] = {}
        self._outcomes: dict[tuple[str, str], int] = {}
        self.bytes = 0
        self._seconds = metrics.timings("hookberg_delivery_seconds")
        self._log_left = LOGGED_A_SECOND
        self._not_logged = 0

    def answered(
        self, reply: Reply, source_id: str, used: tuple[str | None, ...], seconds: float, size: int = 0
    ) -> None:
        """Count one reply to a body of `size` bytes; `source_id` "" when no source was found.

        `used`: the secret and secret URL it came by.
        """
        outcome = reply.outcome
        key = _ACCEPTED if outcome == "accepted" else (outcome, "" if reply.reason is None else reply.reason.value)
        self._outcomes[key] = self._outcomes.get(key, 0) + 1
        if outcome == "accepted":
            self._seconds.observe(seconds)
        elif reply.reason is not None:
            self._log_refusal(reply, source_id)
        if not source_id:
            return
        row = self._rows.get(source_id)
        if row is None:
            row = self._rows[source_id] = _Row()
        self._dirty.add(source_id)
        if outcome in _TAKEN:
            self.bytes += size if outcome == "accepted" else 0
            row.accepted += 1
            if outcome == "shed":
                row.shed += 1
            row.last_event_at_ms = now_ms = self._now_ms()
            _note(row.secret_last_used, now_ms, used)
        elif outcome == "handshake":
            row.handshakes += 1
            _note(row.secret_last_used, self._now_ms(), used)
        elif reply.reason is not None:
            code = reply.reason.value
            row.refused[code] = row.refused.get(code, 0) + 1

    def handshake_refused(self, reason: Reason, why: str) -> None:
        """Count a TLS handshake that failed: no request, no source."""
        key = ("refused", reason.value)
        self._outcomes[key] = self._outcomes.get(key, 0) + 1
        if self._log_left > 0:
            self._log_left -= 1
            _log.info("tls_handshake_refused", reason=reason, why=why)
        else:
            self._not_logged += 1

    def outcomes(self) -> dict[tuple[str, ...], float]:
        """Return the replies by outcome and reason; read at each scrape, so that a request costs no label look-up."""
        return {(outcome, reason): n for (outcome, reason), n in self._outcomes.items()}

    def auth_failures(self) -> dict[tuple[str, ...], float]:
        """Return the deliveries whose authentication failed, by reason."""
        return {(reason,): n for (_, reason), n in self._outcomes.items() if reason in _AUTHENTICATION}

    def by_source(self, live: Container[str]) -> dict[tuple[str, ...], float]:
        """Return the deliveries by source and outcome, of sources that exist."""
        found: dict[tuple[str, ...], float] = {}
        for source_id, row in self._rows.items():
            if source_id in live:
                found[source_id, "accepted"] = row.accepted - row.shed
                found[source_id, "shed"] = row.shed
                found[source_id, "handshake"] = row.handshakes
                found[source_id, "refused"] = sum(row.refused.values())
        return found

    def secrets(self, live: Container[str]) -> dict[tuple[str, ...], float]:
        """Return when (s since the epoch) a source's secrets and URLs were last used, the newest few of each."""
        found: dict[tuple[str, ...], float] = {}
        for source_id, row in self._rows.items():
            if source_id in live:
                newest = sorted(row.secret_last_used.items(), key=lambda one: one[1])[-MAX_SHOWN:]
                found |= {(source_id, secret): at_ms / 1000 for secret, at_ms in newest}
        return found

    async def flush(self) -> bool:
        """Hand changed rows to the sink; False when it failed (they stay changed)."""
        if self._not_logged:
            _log.info("refusals_not_logged", count=self._not_logged)
        self._log_left, self._not_logged = LOGGED_A_SECOND, 0
        taken, self._dirty = self._dirty, set()
        self._note_active(taken)
        if not taken:
            return True
        rows = [self._to_wire(source_id) for source_id in sorted(taken)]
        try:
            async with asyncio.timeout(_FLUSH_LIMIT_S):
                await self._sink.flush(self._start, rows)
        except Exception as exc:  # noqa: BLE001 statistics must never disturb the data plane
            self._dirty |= taken
            _log.warning("tally_not_flushed", error=type(exc).__name__, sources=len(taken))
            return False
        return True

    def taken(self, source_id: str) -> int:
        """Return how many deliveries of a source were answered 2xx since this worker began."""
        row = self._rows.get(source_id)
        return 0 if row is None else row.accepted

    def active(self) -> list[str]:
        """Return the sources that had requests, answered in whichever way, in the last minute."""
        return list(self._active)

    def _note_active(self, source_ids: set[str]) -> None:
        now_ms = self._now_ms()
        self._active.update(dict.fromkeys(source_ids, now_ms))
        for source_id in [one for one, at_ms in self._active.items() if at_ms < now_ms - ACTIVE_MS]:
            del self._active[source_id]

    async def run(self, every_s: float) -> None:
        """Flush for ever; cancelled at the end, after which the caller flushes once more."""
        while True:
            await asyncio.sleep(every_s)
            await self.flush()

    def _log_refusal(self, reply: Reply, source_id: str) -> None:
        if self._log_left > 0:
            self._log_left -= 1
            _log.info("delivery_refused", reason=reply.reason, status=reply.status, source=source_id)
        else:
            self._not_logged += 1

    def _to_wire(self, source_id: str) -> dict[str, Any]:
        row = self._rows[source_id]
        return {
            "source_id": source_id,
            "accepted": row.accepted,
            "refused": dict(row.refused),
            "handshakes": row.handshakes,
            "shed": row.shed,
            "last_event_at_ms": row.last_event_at_ms or None,
            "secret_last_used": dict(row.secret_last_used),
        }


def _note(last: dict[str, int], now_ms: int, ids: tuple[str | None, ...]) -> None:
    """Note the use of secrets and URLs; of very many (certificates, keys) the one that was used longest ago goes."""
    for each in ids:
        if each is not None:
            last[each] = now_ms
    if len(last) > MAX_USED:
        del last[min(last, key=lambda one: last[one])]
