"""The sources of one registry snapshot, each with what deciding asks of it worked out once.

Lives here: pointers taken apart, texts made, pins and lists by event type. Not here: deciding with them (validate.py).
Pure: no Kafka, no disk, no clock. A source is made anew when the registry shows another object for it.
"""

from collections.abc import Mapping

from schemas.definitions.source import matches, pin_for
from schemas.definitions.view import SourceView
from schemas.vendors import adapter
from streams.shapes.read import How
from streams.texts import clean_text, pointer_parts

MAX_TYPES = 1_024
"""Event types remembered a source: senders name them, so their number is bounded."""


class Source:
    """A source as the stage asks it; `kind` and `identifier` are what its events carry when nothing says otherwise."""

    __slots__ = (
        "_types", "dedupe_path", "fallback", "first_item_signed", "how", "id", "identifier", "kind", "name",
        "partitioning", "platform", "repositories", "tenant", "unpinned_policy", "view", "window_ms",
    )  # fmt: skip

    def __init__(self, view: SourceView) -> None:
        definition = view.definition
        path = definition.dedupe.path
        self.view = view
        self.id, self.tenant, self.platform, self.name = view.id, view.tenant, view.platform, view.name
        self.partitioning = view.partitioning
        self.dedupe_path = None if path is None else pointer_parts(path)
        self.fallback = definition.dedupe.fallback
        vendor = adapter(view.platform)
        said, paths = definition.parse, tuple(pointer_parts(each) for each in vendor.split)
        self.how = How(said.content_type, said.charset, said.form, paths, vendor.body_limit)
        self.first_item_signed = vendor.first_item_signed
        self.window_ms = definition.dedupe.window_seconds * 1000
        self.unpinned_policy = definition.unpinned_policy
        self.repositories = tuple(glob.lower() for glob in definition.event_types.repositories)
        self.kind = clean_text(f"webhook.{view.platform}")
        self.identifier = clean_text(f"{view.platform}:{view.tenant}")
        self._types: dict[str, tuple[bool, str | None]] = {}

    def ruling(self, event_type: str) -> tuple[bool, str | None]:
        """Return whether the lists keep an event type out, and what it is pinned to (None = unpinned)."""
        found = self._types.get(event_type)
        if found is None:
            if len(self._types) >= MAX_TYPES:
                self._types.clear()
            found = self._types[event_type] = self._denies(event_type), pin_for(self.view.definition.pins, event_type)
        return found

    def _denies(self, event_type: str) -> bool:
        """Tell whether the lists keep a type out: deny wins, an empty allow takes all."""
        wanted = self.view.definition.event_types
        if any(matches(glob, event_type) for glob in wanted.deny):
            return True
        return bool(wanted.allow) and not any(matches(glob, event_type) for glob in wanted.allow)


class Sources:
    """Sources by id; made as they are asked for, kept while the registry shows the same object."""

    def __init__(self) -> None:
        self._views: Mapping[str, SourceView] = {}
        self._made: dict[str, Source] = {}

    def at(self, views: Mapping[str, SourceView]) -> "Sources":
        """Follow the registry: answer by `views` from now on, and return itself."""
        if views is not self._views:
            self._views = views
            self._made = {name: made for name, made in self._made.items() if views.get(name) is made.view}
        return self

    def get(self, source_id: str) -> Source | None:
        """Return a source, None when the registry does not know it."""
        made = self._made.get(source_id)
        if made is None and (view := self._views.get(source_id)) is not None:
            made = self._made[source_id] = Source(view)
        return made
