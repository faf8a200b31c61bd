"""The definitions that a history moves between, and what each of them says of an event.

Lives here: sources by choice (pins, unpinned policy, window, deny list), the two schemas, and the model's own verdicts,
which share no code with the product.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from schemas.definitions.source import DAY_S, SourceDefinition
from schemas.definitions.view import RoleView, Snapshot, SourceView
from schemas.topics import raw, run

TENANT = "acme"
PLATFORMS = ("shop", "chat")
SOURCES = (("batches", "shop", "source"), ("singles", "shop", "event"), ("chat", "chat", "event"))
PARTITIONS = {"shop": 2, "chat": 1}
DAY_MS = DAY_S * 1000
QUARANTINE_MS = 90 * DAY_MS
SCHEMAS = {
    (TENANT, "order@1"): b'{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}',
    (TENANT, "order@2"): b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}',
}
RUN = run(TENANT, "agent")
RUN_PARTITIONS = 2
ROLES = (
    RoleView("orders", "orders", "webhook.shop.order", "agent", RUN),
    RoleView("all", "all", "webhook.*", "agent", RUN),
)
"""Assignments that are in effect all the time; `assigned` says the same in other words."""
NUMBER, TEXT, NOTHING = "number", "text", "nothing"
"""What member `a` of an event is: version 1 wants a number, version 2 a text."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One revision of every source's definition."""

    pin: int = 0
    unpinned: str = "allow"
    window_days: int = 7
    deny: bool = False

    def verdict(self, kind: str, a: str) -> str:
        """Return what becomes of a readable event that is new: clean, a reason of quarantine, or a drop."""
        if self.deny and kind == "noise":
            return "dropped_denied"
        if not self.pin or kind != "order":
            return {"allow": "clean", "quarantine": "unpinned", "drop": "dropped_unpinned"}[self.unpinned]
        return "clean" if a == (NUMBER, TEXT)[self.pin - 1] else "schema_violation"


def assigned(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the assignments that take a clean event."""
    of_order = event["platform"] == "shop" and event["eventType"] == "order"
    return ("orders", "all") if of_order else ("all",)


def draw(random: Random) -> Choice:
    """Draw a revision; most allow most."""
    return Choice(
        random.choice((0, 1, 1, 2)),
        random.choice(("allow", "allow", "quarantine", "drop")),
        random.choice((7, 7, 14, 30)),
        random.random() < 0.25,
    )


@lru_cache(maxsize=1_000)
def _source(name: str, platform: str, partitioning: str, choice: Choice) -> SourceView:
    definition = SourceDefinition.model_validate(
        {
            "platform": platform,
            "auth": {"type": "none"},
            "pins": {"order": f"order@{choice.pin}"} if choice.pin else {},
            "unpinned": choice.unpinned,
            "event_types": {"deny": ["noise"]} if choice.deny else {},
            "dedupe": {"window_seconds": choice.window_days * DAY_S},
        }
    )
    return SourceView(
        name, TENANT, platform, name, 1, definition, partitioning, PARTITIONS[platform], raw(TENANT, platform), True
    )


@lru_cache(maxsize=1_000)
def snapshot(choice: Choice) -> Snapshot:
    """Return the registry's snapshot of a revision."""
    sources = {name: _source(name, platform, how, choice) for name, platform, how in SOURCES}
    return Snapshot(1, frozenset({TENANT}), sources, {}, {}, {}, {}, {}, SCHEMAS)
