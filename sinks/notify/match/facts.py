"""What filters and receivers ask of an event, read once an event however many webhooks there are.

Lives here: changed names, tags, domains, owners and followers of an entity's JSON, in whatever form a caller gave them:
nothing here raises. Not here: what is wanted (filters.py). Forms: OpenMetadata's EntityReference and TagLabel, or text.
https://docs.open-metadata.org/latest/main-concepts/metadata-standard/schemas/type/entityreference
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from schemas.wire.entity_event import EntityEvent, EventType

TABLE = "table"
SNAPSHOT = "snapshot"
"""The field of "table advanced": told of tables only where `include` names it."""
MAX_REFERENCES = 1_000
"""Of one kind on one entity; what is past it is not looked at."""
MAX_DOTS = 32
_NAMES = ("name", "fullyQualifiedName", "id", "displayName")


@dataclass(frozen=True, slots=True)
class Reference:
    """A person or team that an entity names; what is not known is empty."""

    id: str = ""
    type: str = ""
    name: str = ""
    full_name: str = ""

    @property
    def shown(self) -> str:
        """Return what to call it."""
        return self.name or self.full_name or self.id


class Facts:
    """An event as filters see it.

    Of an update, `changed` are the names of its changed fields (else there are none), `fields` these and all that
    stands before a dot of them: `a.b` changed is `a` changed. `silent`: it tells that a table advanced.
    """

    def __init__(self, event: EntityEvent) -> None:
        self.event = event
        self.event_type = event.event_type
        self.entity_type = event.entity_type.casefold()
        self.changed: tuple[str, ...] = tuple(event.change.names()) if event.event_type is EventType.UPDATED else ()
        self.fields = above(self.changed)
        self.silent = self.entity_type == TABLE and SNAPSHOT in self.fields

    @cached_property
    def tags(self) -> frozenset[str]:
        """Return the entity's tags and their classifications: `PII.Sensitive` is `PII` too."""
        return above(_tags(self.event.entity.get("tags")))

    @cached_property
    def domains(self) -> frozenset[str]:
        """Return the names of the entity's domains, and of the domains that those are part of."""
        return above(_named(self.event.entity, "domain", "domains"))

    @cached_property
    def owners(self) -> frozenset[str]:
        """Return everything that the entity's owners are called."""
        return frozenset(_named(self.event.entity, "owner", "owners"))

    @cached_property
    def owner_references(self) -> tuple[Reference, ...]:
        """Return the entity's owners, each once."""
        return _references(self.event.entity, "owner", "owners")

    @cached_property
    def follower_references(self) -> tuple[Reference, ...]:
        """Return the followers that the entity itself names, each once."""
        return _references(self.event.entity, "followers")


def above(names: Iterable[str]) -> frozenset[str]:
    """Return dotted names and every name before one of their dots."""
    return frozenset(chain.from_iterable(map(path, names)))


def path(name: str) -> list[str]:
    """Return a dotted name and the names before its first MAX_DOTS dots."""
    found, at = [name], name.find(".", 1)
    while at > 0 and len(found) <= MAX_DOTS:
        found.append(name[:at])
        at = name.find(".", at + 1)
    return found


def _tags(given: Any) -> Iterable[str]:  # noqa: ANN401 JSON
    for each in _list(given):
        name = each.get("tagFQN") if isinstance(each, Mapping) else each
        if isinstance(name, str) and name:
            yield name


def _named(entity: Mapping[str, Any], *members: str) -> Iterable[str]:
    for member in members:
        for each in _list(entity.get(member)):
            if isinstance(each, str) and each:
                yield each
            elif isinstance(each, Mapping):
                yield from (name for key in _NAMES if isinstance(name := each.get(key), str) and name)


def _references(entity: Mapping[str, Any], *members: str) -> tuple[Reference, ...]:
    found: dict[Reference, None] = {}
    for member in members:
        for each in _list(entity.get(member)):
            if isinstance(each, str) and each:
                found[Reference(id=each, name=each)] = None
            elif isinstance(each, Mapping):
                texts = [
                    value if isinstance(value := each.get(key), str) else "" for key in ("id", "type", *_NAMES[:2])
                ]
                if any((texts[0], texts[2], texts[3])):
                    found[Reference(*texts)] = None
    return tuple(found)


def _list(given: Any) -> list[Any]:  # noqa: ANN401 JSON
    if isinstance(given, list):
        return given[:MAX_REFERENCES]
    return [] if given is None else [given]
