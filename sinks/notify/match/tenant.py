"""All webhooks of a tenant at once: an event comes in, the lanes that it goes down come out.

Lives here: the index by event type and entity type, made when a webhook or contact changes; per event only the filters
of its own kind are asked. Not here: where webhooks and contacts are read (feeds/audience.py).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.definitions.notification import ContactView, Lane, WebhookView
from schemas.wire.entity_event import EntityEvent, EventType
from sinks.notify.match.facts import Facts
from sinks.notify.match.filters import WEBHOOK, Filter, about, open_to
from sinks.notify.match.receivers import Found, Missing, Receivers


@dataclass(frozen=True, slots=True)
class _Wanting:
    """A webhook and those of its filters that a kind of event meets; `own`: its one lane, if it has no other."""

    webhook: WebhookView
    takes: tuple[Callable[[Facts], bool], ...]
    created_at_ms: int
    own: Lane | None


@dataclass(frozen=True, slots=True)
class Routed:
    """Where an event goes, and who would have been told if it were known how."""

    lanes: tuple[Lane, ...]
    missing: tuple[Missing, ...] = ()


class Matcher:
    """The webhooks and contacts of one tenant, compiled. A webhook that takes nothing in is not among them."""

    def __init__(self, webhooks: Sequence[WebhookView], contacts: Sequence[ContactView] = ()) -> None:
        self._receivers = Receivers(contacts)
        self._index: dict[tuple[EventType, str], list[_Wanting]] = {}
        self._rest: dict[EventType, list[_Wanting]] = {}
        self.snapshots_since_ms: int | None = None
        """When the first webhook was made that wants "table advanced"; None: there is none."""
        compiled = [
            (webhook, [Filter(each) for each in webhook.definition.event_filters])
            for webhook in sorted(webhooks, key=lambda one: one.id)
            if open_to(webhook)
        ]
        for webhook, filters in compiled:
            if any(each.names_snapshot() for each in filters):
                known: int | None = self.snapshots_since_ms
                self.snapshots_since_ms = webhook.created_at_ms if known is None else min(known, webhook.created_at_ms)
        self.since_ms = min((webhook.created_at_ms for webhook, _ in compiled), default=None)
        """When the first of these webhooks was made; None: there is none."""
        named: dict[EventType, set[str]] = defaultdict(set)
        for _, filters in compiled:
            for each in filters:
                named[each.event_type] |= each.entities or frozenset()
        for event_type in EventType:
            self._rest[event_type] = _asked(compiled, event_type, None)
            for entity_type in named[event_type]:
                self._index[event_type, entity_type] = _asked(compiled, event_type, entity_type)

    def route(self, event: EntityEvent, at_ms: int) -> Routed:
        """Return the lanes of an event that came to be known at a time: webhooks made later do not get it."""
        facts = Facts(event)
        asked = self._index.get((facts.event_type, facts.entity_type))
        if asked is None:
            asked = self._rest[facts.event_type]
        lanes: list[Lane] = []
        missing: dict[Missing, None] = {}
        of_webhook = facts.entity_type == WEBHOOK
        for each in asked:
            if each.created_at_ms > at_ms or (of_webhook and about(each.webhook.id, event)):
                continue
            for takes in each.takes:
                if takes(facts):
                    if each.own is not None:
                        lanes.append(each.own)
                    else:
                        lanes += self._lanes(each.webhook, facts, missing)
                    break
        return Routed(tuple(lanes), tuple(missing))

    def _lanes(self, webhook: WebhookView, facts: Facts, missing: dict[Missing, None]) -> list[Lane]:
        """Return a webhook's own endpoint and its receivers, each endpoint once."""
        config = webhook.definition.webhook_config
        lanes = {} if config.endpoint is None else {config.endpoint: Lane(webhook.id)}
        found: list[Found] = []
        if config.send_to_admins:
            found.append(self._receivers.admins())
        if config.send_to_owners:
            found.append(self._receivers.owners(facts))
        if config.send_to_followers:
            found.append(self._receivers.followers(facts))
        for one in found:
            missing.update(dict.fromkeys(one.missing))
            for contact in one.contacts:
                lanes.setdefault(contact.definition.endpoint or "", Lane(webhook.id, contact.id))
        return list(lanes.values())


def _asked(
    compiled: Sequence[tuple[WebhookView, Sequence[Filter]]], event_type: EventType, entity_type: str | None
) -> list[_Wanting]:
    """Return the webhooks that have filters for a kind of event; `entity_type` None: for one that no filter names."""
    found = []
    for webhook, filters in compiled:
        takes = tuple(
            each.takes
            for each in filters
            if each.event_type is event_type and (each.entities is None or entity_type in each.entities)
        )
        if takes:
            config = webhook.definition.webhook_config
            others = config.sends_to_contacts
            found.append(_Wanting(webhook, takes, webhook.created_at_ms, None if others else Lane(webhook.id)))
    return found
