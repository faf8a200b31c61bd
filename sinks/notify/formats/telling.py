"""An event in a person's words: what happened to what, which values changed, by whom, when, where to look.

Lives here: the words, bounded and free of control characters, as plain text. Not here: a platform's markup and its
escapes (slack.py, msteams.py, google_chat.py).
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from schemas.wire.entity_event import EntityEvent, EventType

MAX_NAME = 80
MAX_VALUE = 160
MAX_HEADLINE = 300
MAX_TEXT = 600
"""Room for an alert's whole message, which says what to do."""
MAX_EVENTS = 10
"""Of a batch; the rest is counted."""
MAX_CHANGES = 12
"""Of an event that is told alone."""
MAX_CHANGES_IN_BATCH = 3
NOTHING = "(nothing)"
_DONE = {
    EventType.CREATED: "was created",
    EventType.UPDATED: "was changed",
    EventType.SOFT_DELETED: "was deleted and can be restored",
    EventType.DELETED: "was deleted",
}
_BECAME = {EventType.CREATED: "opened", EventType.SOFT_DELETED: "removed", EventType.DELETED: "removed"}
_SNAPSHOT = (
    ("rows", "rows"), ("addedRows", "added rows"), ("newestEventTime", "newest event"), ("snapshotId", "snapshot"),
)  # fmt: skip
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]+")
_GROUPS = re.compile(r"@(?=(?:channel|here|everyone|group|all|team))", re.IGNORECASE)
_LINK = re.compile(r"https?://[A-Za-z0-9.\[\]:-]{1,255}(?:[/?][A-Za-z0-9/?#&=%.,;:@!~+_-]{0,1200})?", re.ASCII)
_MOMENT = re.compile(r"(?:at|time|timestamp)$", re.IGNORECASE)
_MS = range(10**12, 4 * 10**12)
_LARGE = 10**30
_BREAK = "\u2060"


@dataclass(frozen=True, slots=True)
class Changed:
    """One field: what it was and what it is now; None = it was not there, or is no more."""

    name: str
    was: str | None
    now: str | None

    def text(self, mark: Callable[[str], str] = str) -> str:
        """Say what became of it, each value as `mark` gives it."""
        if self.was is None:
            return mark(self.now or NOTHING)
        return f"{mark(self.was)} (removed)" if self.now is None else f"{mark(self.was)} → {mark(self.now)}"


@dataclass(frozen=True, slots=True)
class Told:
    """One event: plain text throughout. `text`: what there is to say beside; `more`: how many changes are left out."""

    headline: str
    text: str
    changes: tuple[Changed, ...]
    more: int
    who: str | None
    when: str
    link: str | None

    @property
    def sentence(self) -> str:
        """Say all that is no list in one line."""
        return f"{self.headline}: {self.text}" if self.text else self.headline

    @property
    def footer(self) -> str:
        """Say who and when."""
        return self.when if self.who is None else f"{self.who} · {self.when}"


def tell(event: EntityEvent, most: int = MAX_CHANGES, base_url: str = "") -> Told:
    """Return an event in words, with `most` of its changes; `base_url`: what a path in `href` is a path of."""
    headline, text, changes = _told(event)
    return Told(
        headline=cut(calm(headline), MAX_HEADLINE),
        text=cut(calm(text), MAX_TEXT),
        changes=tuple(changes[:most]),
        more=max(0, len(changes) - most),
        who=None if not event.user else cut(calm(event.user), MAX_NAME),
        when=moment(event.at_ms),
        link=_link(event.entity.get("href"), base_url),
    )


def batch(count: int, webhook: str) -> str:
    """Return the title of a message of several events."""
    return f"{count} changes for {webhook}"


def left_out(count: int, what: str) -> str:
    """Say how much is not shown."""
    return f"… and {count:,} more {what if count == 1 else what + 's'}"


def moment(ms: int) -> str:
    """Return a time in ms since the epoch as people read it."""
    try:
        return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, OSError, ValueError):
        return f"{ms} ms"


def value(name: str, given: Any) -> str:  # noqa: ANN401 any JSON
    """Return a JSON value as people read it, at most `MAX_VALUE` characters."""
    if given is None:
        return NOTHING
    if isinstance(given, str):
        return cut(calm(given), MAX_VALUE) or '""'
    if isinstance(given, int) and not isinstance(given, bool):
        return moment(given) if given in _MS and _MOMENT.search(name) else _number(given)
    if isinstance(given, float) and not math.isfinite(given):
        return NOTHING
    return cut(calm(orjson.dumps(given).decode()), MAX_VALUE)


def clean(text: str) -> str:
    """Return a text without what is not seen: control characters, and those that turn the direction of reading."""
    return _UNSEEN.sub(" ", text).strip()


def calm(text: str) -> str:
    """Return a text that calls nobody: an `@channel` in it is broken by a character without width."""
    return _GROUPS.sub(f"@{_BREAK}", clean(text))


def cut(text: str, most: int) -> str:
    """Return at most `most` characters, the last an ellipsis where some were left out."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _told(event: EntityEvent) -> tuple[str, str, list[Changed]]:
    if event.entity_type == "alert":
        return _alert(event)
    if event.entity_type == "table" and (snapshot := _snapshot(event)) is not None:
        return _advanced(event, snapshot)
    named = cut(clean(event.entity_name), 200)
    about = _text(event.entity.get("description")) if event.event_type is EventType.CREATED else ""
    return f"{cut(clean(event.entity_type), MAX_NAME)} {named} {_DONE[event.event_type]}", about, _changes(event)


def _alert(event: EntityEvent) -> tuple[str, str, list[Changed]]:
    """Return `quarantine alert opened for source stripe-main` and `40% of its events go to quarantine, 120 in a row`.

    Our alerts' messages begin with what they are about; of a closed one only that is told.
    """
    alert = event.entity
    kind = cut(calm(_text(alert.get("kind")) or event.entity_name), MAX_NAME)
    became = _BECAME.get(event.event_type) or ("closed" if alert.get("status") == "closed" else "changed")
    message, about = _text(alert.get("message")), _about(alert)
    named, colon, rest = message.partition(": ")
    if not (colon and len(named) <= MAX_NAME * 2 and named.startswith(("source ", "stream "))):
        named, rest = about, message
    where = f" for {named}" if named else ""
    told = f"{kind} alert {became}{where}"
    if became == "closed":
        return told, "", []
    changes = [] if event.event_type is EventType.CREATED else _changes(event)
    return told, rest, changes


def _about(alert: Mapping[str, Any]) -> str:
    """Return type and name (or id) of what an alert is about: its member `entity`."""
    entity = alert.get("entity")
    if not isinstance(entity, Mapping):
        return ""
    name = _text(entity.get("fullyQualifiedName")) or _text(entity.get("name")) or _text(entity.get("id"))
    return cut(f"{_text(entity.get('type')) or 'entity'} {name}", MAX_NAME * 2) if name else ""


def _snapshot(event: EntityEvent) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Return the table's snapshot before and now, when the event is that it advanced."""
    for delta in (*event.change.updated, *event.change.added):
        if delta.name == "snapshot" and isinstance(delta.new, dict):
            return delta.old if isinstance(delta.old, dict) else {}, delta.new
    return None


def _advanced(
    event: EntityEvent, snapshot: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> tuple[str, str, list[Changed]]:
    """Return `table acme.orders advanced to 12,400 rows`, and what else the snapshot tells."""
    before, now = snapshot
    rows = now.get("rows")
    headline = f"table {cut(clean(event.entity_name), 200)} advanced"
    if isinstance(rows, int):
        headline += f" to {value('rows', rows)} rows"
    told = [
        Changed(label, value(name, before[name]) if name in before else None, value(name, now[name]))
        for name, label in _SNAPSHOT
        if now.get(name) is not None
    ]
    return headline, "", told


def _changes(event: EntityEvent) -> list[Changed]:
    change = event.change
    return [
        *(_changed(delta.name, value(delta.name, delta.old), value(delta.name, delta.new)) for delta in change.updated),
        *(_changed(delta.name, None, value(delta.name, delta.new)) for delta in change.added),
        *(_changed(delta.name, value(delta.name, delta.old), None) for delta in change.deleted),
    ]


def _changed(name: str, was: str | None, now: str | None) -> Changed:
    return Changed(cut(calm(name), MAX_NAME) or "?", was, now)


def _number(given: int) -> str:
    return f"{given:,}" if abs(given) < _LARGE else "a very large number"


def _text(given: Any) -> str:  # noqa: ANN401 any JSON
    return clean(given) if isinstance(given, str) else ""


def _link(given: Any, base_url: str) -> str | None:  # noqa: ANN401 any JSON
    if not isinstance(given, str):
        return None
    url = f"{base_url}{given}" if base_url and given.startswith("/") else given
    return url if _LINK.fullmatch(url) else None
