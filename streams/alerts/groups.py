"""Restarts of worker groups: told once a tenant and group, for a group works for many sources.

Lives here: the rule over who is a member of each group in Kafka. A stage that starts joins as somebody new.
"""

import uuid
from collections import deque

from schemas.definitions.view import Snapshot
from schemas.topics import Kind
from streams.alerts.finding import Entity, Finding, Judged, Now, Open, instant, level, level_of
from streams.alerts.streams import FEW, MANY, RESTARTS_S

_NAMES = uuid.UUID("6f6b1c5e-6f0e-5c55-9a43-0d5b8b0f5d7a")
_MOST_MEMBERS = 100


def groups_of(snapshot: Snapshot) -> dict[str, set[str]]:
    """Return the worker groups that have raw topics, with the tenants of these."""
    found: dict[str, set[str]] = {}
    for topic in snapshot.topics.values():
        if topic.kind == Kind.WEBHOOK:
            found.setdefault(topic.group, set()).add(topic.tenant)
    return found


def entity_of(tenant: str, group: str) -> Entity:
    """Return what an alert of a tenant about a worker group is about."""
    return "group", str(uuid.uuid5(_NAMES, f"{tenant}/{group}"))


class GroupRestarts:
    """Stages that start again and again."""

    def __init__(self) -> None:
        self._known: dict[str, deque[str]] = {}
        self._joined: dict[str, deque[int]] = {}

    def judge(self, now: Now, standing: Open) -> Judged:
        """Judge how many new members a group got within ten minutes; the first ones that are seen are not new."""
        groups = groups_of(now.snapshot)
        there = {entity_of(tenant, group) for group, tenants in groups.items() for tenant in tenants}
        judged: Judged = dict.fromkeys(one for one in standing if one[0] == "group" and one not in there)
        since_ms = now.at_ms - int(RESTARTS_S * 1000)
        for group, tenants in groups.items():
            times = self._joined.setdefault(group, deque(maxlen=MANY * 10))
            if members := now.members.get(group):
                known = self._known.get(group)
                if known is None:
                    self._known[group] = deque(members, maxlen=_MOST_MEMBERS)
                else:
                    new = members.difference(known)
                    known.extend(new)
                    times.extend([now.at_ms] * len(new))
            while times and times[0] < since_ms:
                times.popleft()
            for tenant in tenants:
                entity = entity_of(tenant, group)
                found = level(level_of(standing, entity), len(times) / FEW, len(times) / MANY)
                judged[entity] = None if found is None else _told(tenant, group, times, found == "alarm")
        return judged


def _told(tenant: str, group: str, times: deque[int], alarm: bool) -> Finding:
    message = (
        f"worker group {group} started {len(times)} times in ten minutes; what its sources sent waits meanwhile. Look "
        "why `hookberg streams` ends: the last lines of its log, memory, the brokers. A record that ends it three "
        "times goes to quarantine as poison_crash"
    )
    details = {"group": group, "restarts": len(times), "windowSeconds": RESTARTS_S, "lastAt": instant(times[-1]),
               "sample": {"kafkaGroup": f"hookberg-{group}"}}  # fmt: skip
    return Finding(tenant, "alarm" if alarm else "warn", message, details)
