"""What a stream that is split needs to know of a type: whether it takes it, its table's name, its pinned schemas.

Lives here: values and rules without a catalog. Spec section 5: tables are `{targetTable}_{type_slug}`.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas import names, topics
from schemas.definitions.source import matches, pin_for
from schemas.definitions.view import Snapshot, StreamView

MAX_TYPES = 300
"""Tables of one stream beside its own. Types that come later are rows of the stream's own table."""
MAX_TYPE = 256
"""Characters of an event type that gets a table."""
MAX_TABLE = 128
_TAIL = 9
"""Characters of `_` and a checksum behind a name that is taken or was cut."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`event_types`: globs, empty = all. `pins`: a source's globs to `subject@version`; `texts`: schemas by that."""

    event_types: tuple[str, ...] = ()
    pins: tuple[tuple[tuple[str, str], ...], ...] = ()
    texts: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    def selects(self, event_type: str) -> bool:
        """Tell whether the stream takes events of a type."""
        return not self.event_types or any(matches(glob, event_type) for glob in self.event_types)

    def pinned(self, event_type: str) -> tuple[tuple[str, bytes], ...]:
        """Return the schemas that the sources check a type by, by name."""
        found = {pin for one in self.pins if (pin := pin_for(dict(one), event_type)) is not None}
        return tuple((name, text) for name, text in self.texts if name in found)


def plan_of(snapshot: Snapshot, stream: StreamView) -> Plan | None:
    """Return the plan of a stream with what its sources pin; None when it is not split."""
    definition = stream.definition
    if definition.split_by != "eventType":
        return None
    parsed = [one for topic in definition.topics if (one := topics.parse(topic)) is not None]
    sources = [source for one in parsed for source in snapshot.by_platform.get((one.tenant, one.target), ())]
    wanted = {(source.tenant, pin) for source in sources for pin in source.definition.pins.values()}
    texts = {pin: text for tenant, pin in wanted if (text := snapshot.schemas.get((tenant, pin))) is not None}
    pins = {tuple(sorted(source.definition.pins.items())) for source in sources}
    return Plan(definition.event_types, tuple(sorted(pins)), tuple(sorted(texts.items())))


def splits(event_type: str) -> bool:
    """Tell whether a type can have a table: it has a name, and a short one."""
    return 0 < len(event_type) <= MAX_TYPE


def table_names(base: str, event_type: str) -> Iterator[str]:
    """Yield the names that a type's table may have, the best first: its slug, then its slug with its checksum."""
    slug, mark = names.slug(event_type), f"_{zlib.crc32(event_type.encode('utf-8', 'backslashreplace')):08x}"
    plain = f"{base}_{slug}"
    if len(plain) <= MAX_TABLE:
        yield plain
    yield plain[: MAX_TABLE - _TAIL] + mark
