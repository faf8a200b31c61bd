"""A source that should speak and does not becomes an alert, which its next event closes (spec sections 5 and 10).

Lives here: which sources are watched, since when one is silent, and that the registry is asked again when it is away.
Silent is what took no event at the edge and decided none: a stage that stands still makes nobody silent, nor does an
edge that was killed before it told its last event.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.definitions.alert import AlertKind
from schemas.definitions.minute import LastEvent
from schemas.definitions.view import Snapshot, SourceView
from schemas.logs import logger
from schemas.ports import AlertBook, Clock, MinuteBook
from schemas.wire.ledger import Ledger

GRACE_S = 60.0
"""After a start nobody is called silent for so long: while nothing ran nobody could speak."""
_MINUTE_US = 60_000_000
_SILENCE = AlertKind.SILENCE
_log = logger(__name__)


class Silence:
    """Watches the sources with `silenceAfterSeconds`; `note` is told what is decided, `step` is called now and then."""

    def __init__(self, alerts: AlertBook, book: MinuteBook, snapshot: Callable[[], Snapshot], clock: Clock) -> None:
        self._alerts, self._book, self._snapshot, self._clock = alerts, book, snapshot, clock
        self._started = clock.monotonic()
        self._decided: dict[str, int] = {}
        self._open: set[str] | None = None

    def note(self, record: Ledger) -> None:
        """Take when events were decided, or happened if that was earlier: what is redriven says nothing of today."""
        watched = self._snapshot().sources
        for count in record.counts:
            if count.source_id in watched:
                at_us = min(record.decided_at_us, (count.minute + 1) * _MINUTE_US)
                self._decided[count.source_id] = max(at_us, self._decided.get(count.source_id, 0))

    async def step(self) -> None:
        """Open and close what has to be; what the registry does not take is tried again with the next step."""
        snapshot = self._snapshot()
        if snapshot.revision < 0:
            return
        try:
            if self._open is None:
                found = await asyncio.to_thread(self._alerts.opened, _SILENCE)
                self._open = {alert.entity_id for alert in found}
            await self._look(_watched(snapshot), self._open)
        except Exception as error:  # noqa: BLE001 the data plane outlives the control plane
            _log.warning("silence_not_stored", error=str(error)[:300])

    async def _look(self, watched: Mapping[str, SourceView], opened: set[str]) -> None:
        for source_id in opened - watched.keys():
            await self._close(source_id, opened)
        if not watched:
            return
        now_us = self._clock.time_ns() // 1000
        for source_id, last in (await asyncio.to_thread(self._book.last_events, list(watched))).items():
            source = watched[source_id]
            after_s = source.definition.silence_after_seconds or 0
            event_us = max((last.received_at_ms or 0) * 1000, self._decided.get(source_id, 0)) or None
            if source_id in opened:
                if event_us is not None and now_us - event_us < after_s * 1_000_000:
                    await self._close(source_id, opened)
            elif now_us - _since(last, event_us) >= after_s * 1_000_000 and self._settled(after_s):
                await self._tell(source, after_s, event_us)
                opened.add(source_id)

    def _settled(self, after_s: float) -> bool:
        return self._clock.monotonic() - self._started >= min(GRACE_S, after_s)

    async def _tell(self, source: SourceView, after_s: int, event_us: int | None) -> None:
        said = None if event_us is None else _text(event_us)
        message = f"source {source.name}: no event for {after_s} s" + (f", the last at {said}" if said else ", or ever")
        message += f". Ask its sender; GET /sources/{source.name}/refusals shows what was refused"
        details: dict[str, Any] = {
            "level": "alarm", "source": source.name, "silenceAfterSeconds": after_s, "lastEventAt": said,
        }  # fmt: skip
        await asyncio.to_thread(self._alerts.open, source.tenant, _SILENCE, ("source", source.id), message, details)
        _log.warning("silence", source=source.id, message=message)

    async def _close(self, source_id: str, opened: set[str]) -> None:
        await asyncio.to_thread(self._alerts.close, _SILENCE, ("source", source_id))
        opened.discard(source_id)
        _log.info("silence_over", source=source_id)


def _watched(snapshot: Snapshot) -> dict[str, SourceView]:
    """Return the sources that have a limit and are heard: not disabled ones, and not paused ones."""
    return {
        source.id: source
        for source in snapshot.sources.values()
        if source.definition.silence_after_seconds is not None
        and source.definition.enabled
        and not source.definition.paused
    }


def _since(last: LastEvent, event_us: int | None) -> int:
    """Return since when a source could have spoken: its last event, and not before it was made or last changed."""
    return max(event_us or 0, last.created_at_ms * 1000, last.updated_at_ms * 1000)


def _text(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
