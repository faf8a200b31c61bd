"""Event + what is known of its id -> exactly one decision (spec section 7, rules 12, 15 and 16).

Lives here: first clean one wins, duplicates, conflicts, what quarantine may still become. Total and pure: what is known
comes in as a look-up and goes out as the decision's `write`, which the caller remembers before the next.
"""

from collections.abc import Callable

import msgspec

from schemas import ids
from schemas.contracts import Library
from schemas.definitions.view import Snapshot
from schemas.reasons import Outcome, Reason
from schemas.wire.position import Position
from schemas.wire.raw import Redrive
from streams import seen
from streams.identify import Event, distinct
from streams.parse import Fault
from streams.seen import Seen
from streams.sources import Source
from streams.validate import denied, validate


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What became of one item.

    `event_id` is the event's own, or that of its distinct content in quarantine; `write` goes under `key`; `of` is the
    first copy of a duplicate; `resolves` the quarantined copy that this clean one settles; `settles` the row that a
    redrive was made for, where that is another one.
    """

    event: Event
    outcome: Outcome
    event_id: str
    fault: Fault | None = None
    schema: str | None = None
    key: bytes = b""
    write: Seen | None = None
    of: Position | None = None
    resolves: Position | None = None
    settles: Position | None = None


Known = Callable[[bytes], Seen | None]
"""What is remembered under a key, the open transaction's own decisions included."""


def decide(event: Event, known: Known, position: Position, snapshot: Snapshot, contracts: Library) -> Decision:
    """Decide about one event standing at `position`; its `write` must be known before the next one is decided."""
    meta = event.delivery.meta
    if meta is not None and meta.redrive is not None:
        return _redriven(event, meta.redrive, known, position, snapshot, contracts)
    return _decide(event, known, position, snapshot, contracts)


def _decide(  # noqa: PLR0911 one line for each outcome
    event: Event, known: Known, position: Position, snapshot: Snapshot, contracts: Library
) -> Decision:
    delivery, source = event.delivery, event.delivery.source
    if source is None or delivery.meta is None:
        return _quarantined(event, event.fault or _unknown(), position, known, schema=None)
    if delivery.meta.shed is not None:
        return Decision(event, Outcome.SHED, event.event_id)
    if event.fault is None and not delivery.items:
        return Decision(event, Outcome.EMPTY, event.event_id)
    if event.control:
        return Decision(event, Outcome.CONTROL, event.event_id)
    if event.fault is None and denied(event, source):
        return Decision(event, Outcome.DROPPED_DENIED, event.event_id)
    found = _counting(known(event.key), event, source)
    if found is not None and found.clean:
        return _again(event, found, position, known)
    verdict = validate(event, source, snapshot.schemas, contracts)
    if verdict.drop is not None:
        return Decision(event, verdict.drop, event.event_id)
    if verdict.fault is not None:
        return _quarantined(event, verdict.fault, position, known, schema=verdict.schema)
    if found is not None and (twin := _twin(event, found, known)) is not None:
        return Decision(event, Outcome.DUPLICATE, _distinct_id(event), of=twin.first)
    write = Seen(position, delivery.time_ms, True, event.fingerprint, found is not None)
    resolves = None if found is None else found.first
    return Decision(event, Outcome.CLEAN, event.event_id, None, verdict.schema, event.key, write, None, resolves)


def _redriven(
    event: Event, redrive: Redrive, known: Known, position: Position, snapshot: Snapshot, contracts: Library
) -> Decision:
    """Decide about an item of a redrive (rule 16).

    What cannot be read any more stays as it is, a duplicate of its row; so does another content of a known id, which
    must not take that id, unless it is redriven as distinct. A content that is clean under the plain id by now is a
    duplicate of that copy, as distinct or not. What became clean, and the clean copy that this one repeats, count for
    as long as the row may be redriven again.
    """
    number = event.item.number
    row, named = redrive.row(number), redrive.named(number)
    if redrive.items and number >= len(event.delivery.items):
        return Decision(event, Outcome.DUPLICATE, named or event.event_id, of=row)
    made = None
    if named is not None and named == _distinct_id(event):
        made = _under_plain_id(event, known)
        if made is None and not redrive.as_distinct:
            return Decision(event, Outcome.DUPLICATE, named, of=row)
    made = made or _decide(event, known, position, snapshot, contracts)
    if made.outcome is Outcome.CLEAN and made.write is not None:
        settles = row if named is not None and made.resolves != row else None
        write = msgspec.structs.replace(made.write, healed=True)
        return msgspec.structs.replace(made, write=write, settles=settles)
    if made.outcome is not Outcome.DUPLICATE:
        return made
    key = seen.key(_source_id(event), made.event_id)
    copy = known(key)
    if copy is None or not copy.clean:
        return made
    write = Seen(copy.first, event.delivery.time_ms, True, copy.fingerprint, healed=True)
    settles = None if named in (None, made.event_id) else row
    return msgspec.structs.replace(made, key=key, write=write, settles=settles)


def _under_plain_id(event: Event, known: Known) -> Decision | None:
    """Return the duplicate that an event is when this content is clean under the id that names no content."""
    event_id = ids.event_id(_source_id(event), event.kind, _plain(event))
    found = _counting(known(seen.key(_source_id(event), event_id)), event, event.delivery.source)
    if found is None or not found.clean or found.fingerprint != event.fingerprint:
        return None
    return Decision(event, Outcome.DUPLICATE, event_id, of=found.first)


def _twin(event: Event, found: Seen, known: Known) -> Seen | None:
    """Return the clean copy of this content under its distinct id, where another content is quarantined as `found`."""
    if found.fingerprint == event.fingerprint:
        return None
    twin = _counting(known(seen.key(_source_id(event), _distinct_id(event))), event, event.delivery.source)
    return twin if twin is not None and twin.clean else None


def refused(decision: Decision, fault: Fault, position: Position, known: Known) -> Decision:
    """Put an event that would be clean but for `fault` into quarantine, once as any other (rule 15)."""
    return _quarantined(decision.event, fault, position, known, schema=decision.schema)


def _again(event: Event, found: Seen, position: Position, known: Known) -> Decision:
    """Decide about an id that has a clean copy: the same content is a duplicate, another one a conflict.

    What cannot be read has no content to compare: it is in quarantine for that reason.
    """
    if found.fingerprint == event.fingerprint:
        return Decision(event, Outcome.DUPLICATE, event.event_id, of=found.first)
    words = f"event {event.event_id} was seen with another content at {found.first}"
    return _distinct(event, event.fault or Fault(Reason.ID_CONFLICT, "", words), position, known, schema=None)


def _quarantined(event: Event, fault: Fault, position: Position, known: Known, *, schema: str | None) -> Decision:
    """Put an event into quarantine once: an equal copy that is there already makes this one a duplicate."""
    found = _counting(known(event.key), event, event.delivery.source)
    if found is None:
        write = Seen(position, event.delivery.time_ms, clean=False, fingerprint=event.fingerprint)
        return Decision(event, Outcome.QUARANTINED, event.event_id, fault, schema, event.key, write)
    if found.fingerprint == event.fingerprint:
        return Decision(event, Outcome.DUPLICATE, event.event_id, of=found.first)
    return _distinct(event, fault, position, known, schema=schema)


def _distinct(event: Event, fault: Fault, position: Position, known: Known, *, schema: str | None) -> Decision:
    """Quarantine another content of a known id under an id of its own, once."""
    event_id = _distinct_id(event)
    key = seen.key(_source_id(event), event_id)
    found = _counting(known(key), event, event.delivery.source)
    if found is not None:
        return Decision(event, Outcome.DUPLICATE, event_id, of=found.first)
    write = Seen(position, event.delivery.time_ms, clean=False, fingerprint=event.fingerprint)
    return Decision(event, Outcome.QUARANTINED, event_id, fault, schema, key, write)


def _counting(found: Seen | None, event: Event, source: Source | None) -> Seen | None:
    """Return what was found under an id while it is inside its window."""
    if found is None:
        return None
    window_ms = seen.MAX_WINDOW_MS if source is None else source.window_ms
    return found if found.counts(event.delivery.time_ms, window_ms) else None


def _distinct_id(event: Event) -> str:
    """Return the id that names the content as well, whether the event was redriven as distinct or not."""
    return ids.event_id(_source_id(event), event.kind, distinct(_plain(event), event.fingerprint))


def _plain(event: Event) -> str:
    return event.id_text.removesuffix(distinct("", event.fingerprint))


def _source_id(event: Event) -> str:
    return "" if event.delivery.meta is None else event.delivery.meta.source_id


def _unknown() -> Fault:
    return Fault(Reason.BAD_RECORD, "", "the record names no known source")
