"""What the scheduler may do, and how a seed becomes a list of it.

Lives here: actions as plain values, so that a history is a list that can be shortened, printed and run again. What an
action does: world.py. An action that has nothing to act on does nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.simulation import definitions, traffic
from tests.simulation.definitions import Choice
from tests.simulation.traffic import Posting

Action = tuple[Any, ...]
"""(verb, arguments...)."""


@dataclass(frozen=True, slots=True)
class History:
    """Everything that a run needs."""

    seed: int
    first: Choice
    max_records: int
    actions: tuple[Action, ...]

    def __str__(self) -> str:
        """Return what is not in the actions."""
        return f"first definition: {self.first}, at most {self.max_records} records in a transaction"


def draw(seed: int) -> History:
    """Make the history of a seed."""
    random = Random(seed)
    keys = random.choice((3, 6, 12))
    verbs, weights = zip(
        *((verb, random.choice((0, weight, weight, 2 * weight))) for verb, weight in _WEIGHTS), strict=True
    )
    always = [verb for verb in _ALWAYS for _ in range(6)]
    pool = random.choices(verbs, weights, k=random.choice((20, 40, 60))) if any(weights) else []
    names = [*always, *pool]
    count = random.choice((40, 80, 120))
    chosen = [random.choice(names) for _ in range(count)]
    return History(
        seed=seed,
        first=definitions.draw(random),
        max_records=random.choice((4, 12, 10_000)),
        actions=tuple((verb, *_ARGUMENTS[verb](random, keys)) for verb in chosen),
    )


def _post(random: Random, keys: int) -> tuple[Posting]:
    return (traffic.draw(random, keys),)


def _which(random: Random, _keys: int) -> tuple[int]:
    return (random.randrange(3),)


def _steps(random: Random, _keys: int) -> tuple[int, int]:
    return random.randrange(3), random.choice((1, 1, 2, 3, 5, 8, 30))


_ARGUMENTS: dict[str, Callable[[Random, int], tuple[Any, ...]]] = {
    "post": _post,
    "fetch": lambda random, _keys: (random.randrange(3), random.randrange(4), random.choice((1, 2, 5, 50))),
    "tick": lambda random, _keys: (random.choice((0.1, 0.3, 0.3, 1.0, 3.0)),),
    "days": lambda random, _keys: (random.choice((1, 3, 6, 8, 15, 31, 91)),),
    "job": _steps,
    "send": _steps,
    "cycle": _which,
    "crash": _which,
    "start": lambda random, _keys: (random.choice(("same", "same", "same", "empty", "copy")),),
    "beside": lambda random, _keys: (random.choice(("empty", "copy")),),
    "power": lambda random, _keys: (random.randrange(1, 5),),
    "answer": lambda random, _keys: (
        random.randrange(3),
        random.choice(("lost before", "lost after")),
        random.choice((1, 1, 2, 5)),
    ),
    "rebalance": _which,
    "define": lambda random, _keys: (definitions.draw(random), random.choice((True, True, False))),
    "see": _which,
    "sweep": _which,
    "markers": lambda random, _keys: (random.randrange(1, 4),),
    "give up": lambda _random, _keys: (),
    "compact": lambda random, _keys: (random.random() < 0.5,),
    "skew": lambda random, _keys: (random.choice((-5_000, -100, 0, 400)),),
    "expire raw": lambda random, _keys: (random.randrange(3), random.randrange(1, 6)),
    "truncate raw": lambda random, _keys: (random.randrange(3), random.randrange(1, 4)),
    "recreate raw": lambda _random, _keys: (),
    "redrive": lambda random, _keys: (random.randrange(100), random.random() < 0.3),
    "stale ends": lambda random, _keys: (random.randrange(3), random.randrange(1, 4)),
    "look": lambda _random, _keys: (),
}
_ALWAYS = ("post", "post", "post", "fetch", "fetch", "tick", "job", "job", "cycle", "start")
_WEIGHTS = (
    ("crash", 4), ("start", 3), ("beside", 2), ("power", 1), ("answer", 2), ("rebalance", 2), ("define", 3), ("see", 2),
    ("sweep", 2), ("days", 3), ("markers", 3), ("give up", 1), ("compact", 2), ("skew", 1), ("expire raw", 1),
    ("truncate raw", 1), ("recreate raw", 1), ("redrive", 4), ("stale ends", 1), ("look", 2), ("send", 3), ("fetch", 3),
    ("job", 4), ("post", 4),
)  # fmt: skip
