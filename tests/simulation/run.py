"""Running histories, and making a failing one as short as it can be.

Lives here: one history to a result, delta debugging over its actions, and the printed trace.
Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing Input, https://doi.org/10.1109/32.988498
"""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import structlog

from tests.simulation import actions
from tests.simulation.actions import Action, History
from tests.simulation.checks import Violation
from tests.simulation.stage import Parts
from tests.simulation.tables import TableHistory, Tables
from tests.simulation.world import World

Draw = Callable[[int], History | TableHistory]
MOST_RUNS = 600
"""How many runs shortening may take."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A history that broke a rule, as short as it was made."""

    seed: int
    rule: str
    what: str
    history: History | TableHistory
    story: tuple[str, ...]

    def __str__(self) -> str:
        """Return the trace for people."""
        lines = [f"seed {self.seed}: {self.rule}: {self.what}", str(self.history), "", *self.story]
        lines += [
            "",
            f"{len(self.history.actions)} actions; again: python -m tests.simulation --seed {self.seed} --histories 1",
        ]
        return "\n".join(lines)


def once(
    history: History | TableHistory, parts: type[Parts] = Parts, story: list[str] | None = None
) -> Violation | None:
    """Run a history; return what it broke. Anything that the code under test raises is a violation, too."""
    world: Any = World(history, parts) if isinstance(history, History) else Tables(history)
    if story is not None:
        world.log = story
        _tell(world)
    try:
        world.run()
    except Violation as found:
        return found
    except Exception as exc:  # noqa: BLE001 whatever it is, it is found
        return Violation("unexpected error", f"{type(exc).__name__}: {exc}")
    return None


def find(seed: int, parts: type[Parts] = Parts, draw: Draw = actions.draw) -> Failure | None:
    """Run the history of a seed; return the shortest one that breaks the same rule, None when all is well."""
    history = draw(seed)
    found = once(history, parts)
    if found is None:
        return None
    rule = found.rule

    def fails(candidate: tuple[Action, ...]) -> bool:
        broken = once(replace(history, actions=candidate), parts)
        return broken is not None and broken.rule == rule

    least = replace(history, actions=shrink(history.actions, fails))
    story: list[str] = []
    last = once(least, parts, story)
    assert last is not None
    return Failure(seed, rule, str(last).removeprefix(f"{rule}: "), least, tuple(story))


def told(seed: int, story: list[str]) -> Violation | None:
    """Run the history of a seed and write down what happens."""
    return once(actions.draw(seed), Parts, story)


def shrink(whole: tuple[Action, ...], fails: Callable[[tuple[Action, ...]], bool]) -> tuple[Action, ...]:
    """Remove chunks of actions, halves first, for as long as the rest still fails."""
    runs, size = 0, max(1, len(whole) // 2)
    while runs < MOST_RUNS:
        removed, at = False, 0
        while at < len(whole) and runs < MOST_RUNS:
            candidate = whole[:at] + whole[at + size :]
            runs += 1
            if fails(candidate):
                whole, removed = candidate, True
            else:
                at += size
        if size == 1 and not removed:
            break
        size = max(1, size // 2) if not removed or size > 1 else 1
    return whole


def _tell(world: Any) -> None:
    act = world.act

    def told(action: Action) -> None:
        verb, *arguments = action
        if verb != "post":
            world.say(f"- {verb}{''.join(f' {one}' for one in arguments)}")
        act(action)
        for name, at in world.standing() if verb in ("job", "cycle", "tick", "go") else ():
            world.say(f"    {name}: thread before {at or 'its first step'!r}")

    world.act = told


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the product's log silent and the garbage collector out of the way while histories run."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        structlog.configure(**before)
