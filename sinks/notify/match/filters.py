"""Which events a webhook wants: its `eventFilters`, compiled once a version of the webhook; total functions.

Lives here: what terms mean. Not here: who receives (receivers.py), all webhooks of a tenant at once (tenant.py).
The table of the semantics stands in README.md here, each row of it is a test.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from schemas.definitions.notification import WebhookView
from schemas.definitions.webhook import EventFilter, WebhookStatus
from schemas.wire.entity_event import EntityEvent, EventType
from sinks.notify.match.facts import SNAPSHOT, TABLE, Facts, path

ALL = "*"
WEBHOOK = "webhook"
_DOMAIN, _TAG, _OWNER = "domain:", "tag:", "owner:"


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of an include or exclude by what they ask; `all`: one of them was `*`."""

    fields: frozenset[str]
    domains: frozenset[str]
    tags: frozenset[str]
    owners: frozenset[str]
    all: bool

    def met(self, facts: Facts) -> bool:
        """Tell whether the entity has a domain, tag or owner of these."""
        return bool(
            (self.tags and not self.tags.isdisjoint(facts.tags))
            or (self.domains and not self.domains.isdisjoint(facts.domains))
            or (self.owners and not self.owners.isdisjoint(facts.owners))
        )


def terms(given: Iterable[str]) -> Terms:
    """Sort terms by their prefix; what has none of the three is the name of a field, whatever stands in it."""
    sets: dict[str, set[str]] = {_DOMAIN: set(), _TAG: set(), _OWNER: set(), "": set()}
    for term in given:
        prefix = next((each for each in (_DOMAIN, _TAG, _OWNER) if term.startswith(each)), "")
        sets[prefix].add(term.removeprefix(prefix))
    fields = frozenset(sets[""])
    return Terms(
        fields - {ALL}, frozenset(sets[_DOMAIN]), frozenset(sets[_TAG]), frozenset(sets[_OWNER]), ALL in fields
    )


class Filter:
    """One compiled `eventFilter`; `entities` is None for all."""

    __slots__ = ("_everything", "_exclude", "_include", "_spared", "_wary", "entities", "event_type")

    def __init__(self, given: EventFilter) -> None:
        self.event_type = given.event_type
        self.entities = None if ALL in given.entities else frozenset(each.casefold() for each in given.entities)
        self._include, self._exclude = terms(given.include), terms(given.exclude)
        self._wary = self._exclude.all or bool(self._exclude.domains or self._exclude.tags or self._exclude.owners)
        self._everything = not given.include or self._include.all
        self._spared = SNAPSHOT in self._include.fields

    def takes(self, facts: Facts) -> bool:
        """Tell whether an event of this filter's type and entities is wanted."""
        exclude = self._exclude
        if self._wary and (exclude.all or exclude.met(facts)):
            return False
        fields = facts.fields
        hidden = exclude.fields
        if facts.silent and not self._spared:
            hidden = hidden | {SNAPSHOT}
        if hidden and not hidden.isdisjoint(fields):
            fields = _left(facts.changed, hidden)
            if not fields:
                return False
        if self._everything:
            return True
        include = self._include
        return not include.fields.isdisjoint(fields) or include.met(facts)

    def names_snapshot(self) -> bool:
        """Tell whether it takes "table advanced"."""
        tables = self.entities is None or TABLE in self.entities
        return tables and self._spared and self.event_type is EventType.UPDATED


def wants(webhook: WebhookView, event: EntityEvent) -> bool:
    """Tell whether one webhook wants one event; for many of either, `tenant.Matcher` compiles once."""
    if not open_to(webhook) or event.tenant_id != webhook.tenant or about(webhook.id, event):
        return False
    facts = Facts(event)
    return any(
        each.event_type is facts.event_type
        and (each.entities is None or facts.entity_type in each.entities)
        and each.takes(facts)
        for each in map(Filter, webhook.definition.event_filters)
    )


def open_to(webhook: WebhookView) -> bool:
    """Tell whether a webhook takes anything in: it is enabled, and no 410 has disabled it."""
    return webhook.definition.enabled and webhook.status is not WebhookStatus.DISABLED


def about(webhook_id: str, event: EntityEvent) -> bool:
    """Tell whether an event is about this webhook: none is told of itself, or its own failure would never end."""
    return event.entity_id == webhook_id and event.entity_type.casefold() == WEBHOOK


def _left(changed: Iterable[str], hidden: frozenset[str]) -> frozenset[str]:
    """Return the changed names that no hidden one takes, and all above them that are not hidden."""
    paths = [path(name) for name in changed]
    return frozenset(chain.from_iterable(each for each in paths if hidden.isdisjoint(each)))
