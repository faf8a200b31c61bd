"""Who receives an event besides a webhook's own endpoint: admins, owners and followers among a tenant's contacts.

Lives here: finding contacts, compiled once a version of them. Not here: which events (filters.py). Contacts are found
by id or name; of a team without an endpoint its members are told. Nothing here raises.
"""

import fnmatch
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from schemas.definitions.notification import ContactView
from sinks.notify.match.facts import Facts, Reference

TEAM = "team"
_PEOPLE = frozenset({"user", TEAM})
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Missing:
    """Somebody who was to be told and cannot be: as `admin`, `owner` or `follower`, what they are called, why."""

    role: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """Contacts with an endpoint, each once, and who is missing."""

    contacts: tuple[ContactView, ...]
    missing: tuple[Missing, ...] = ()


class Receivers:
    """The contacts of one tenant."""

    def __init__(self, contacts: Sequence[ContactView]) -> None:
        self._by_id = {each.id: each for each in contacts}
        self._by_name = {each.definition.name: each for each in contacts}
        self._members: dict[str, list[ContactView]] = defaultdict(list)
        self._exactly: dict[str, list[ContactView]] = defaultdict(list)
        globs: dict[str, list[ContactView]] = defaultdict(list)
        for each in contacts:
            for team in each.definition.teams:
                self._members[team].append(each)
            for pattern in each.definition.follows:
                (globs if _WILD.search(pattern) else self._exactly)[pattern].append(each)
        self._globs = [
            (re.compile(fnmatch.translate(pattern)).match, ":" in pattern, told) for pattern, told in globs.items()
        ]
        self._admins = self._reached("admin", [each for each in contacts if each.definition.admin])

    def admins(self) -> Found:
        """Return the contacts that are admins."""
        return self._admins or Found((), (Missing("admin", "", "the tenant has no contact with admin: true"),))

    def owners(self, facts: Facts) -> Found:
        """Return the contacts that the entity names as its owners; an entity without owners misses nobody."""
        return self._named("owner", facts.owner_references)

    def followers(self, facts: Facts) -> Found:
        """Return the contacts whose `follows` takes the entity, and those that the entity names as its followers."""
        named = self._named("follower", facts.follower_references)
        following = self._reached("follower", list(self._following(facts)))
        if following is None:
            return named
        return Found(tuple(dict.fromkeys((*following.contacts, *named.contacts))), (*following.missing, *named.missing))

    def _following(self, facts: Facts) -> Iterator[ContactView]:
        name = facts.event.entity_name
        typed = f"{facts.event.entity_type}:{name}"
        for exact in (name, typed):
            yield from self._exactly.get(exact, ())
        for match, with_type, told in self._globs:
            if match(name) or (with_type and match(typed)):
                yield from told

    def _named(self, role: str, references: Iterable[Reference]) -> Found:
        contacts: list[ContactView] = []
        missing: list[Missing] = []
        for reference in references:
            contact = self._contact(reference)
            if contact is None:
                missing.append(Missing(role, reference.shown, "no contact has this id or name"))
            else:
                found = self._reached(role, [contact]) or Found(())
                contacts += found.contacts
                missing += found.missing
        return Found(_once(contacts), tuple(missing))

    def _contact(self, reference: Reference) -> ContactView | None:
        for found in (
            self._by_id.get(reference.id),
            self._by_name.get(reference.name),
            self._by_name.get(reference.full_name),
        ):
            if found is not None and (reference.type not in _PEOPLE or reference.type == found.definition.type):
                return found
        return None

    def _reached(self, role: str, contacts: Sequence[ContactView]) -> Found | None:
        """Return who can be called of these; a team without an endpoint stands for its members. None: of nobody."""
        if not contacts:
            return None
        reached: list[ContactView] = []
        missing: list[Missing] = []
        for each in _once(contacts):
            if each.definition.endpoint is not None:
                reached.append(each)
                continue
            team = each.definition.type == TEAM
            members = (
                [one for one in self._members.get(each.definition.name, ()) if one.definition.endpoint] if team else []
            )
            reached += members
            if not members:
                why = "neither the team nor a member of it has an endpoint" if team else "the contact has no endpoint"
                missing.append(Missing(role, each.definition.name, why))
        return Found(_once(reached), tuple(missing))


def _once(contacts: Iterable[ContactView]) -> tuple[ContactView, ...]:
    return tuple({each.id: each for each in contacts}.values())
