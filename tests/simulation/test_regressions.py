"""Histories that once broke a rule, each as short as it was made; named after what was wrong."""

import pytest

from tests.simulation import run
from tests.simulation.actions import Action, History
from tests.simulation.definitions import Choice
from tests.simulation.traffic import Item, Posting

ONE = ("post", Posting("chat", "single", (Item("k1"),)))
OTHER = ("post", Posting("chat", "single", (Item("k2"),)))
THIRD = ("post", Posting("chat", "single", (Item("k3"),)))
LOST_TAIL = ("truncate raw", 2, 2)


@pytest.mark.parametrize(
    "actions",
    [
        # The drain and a rebalance both waited to believe that the log had ended early: `lost` was written twice.
        pytest.param(
            (ONE, OTHER, THIRD, LOST_TAIL, ONE, ("fetch", 0, 3, 1), ("rebalance", 0)), id="one loss told once"
        ),
        # What was new was asked for before the end: a record that came in between was passed over.
        pytest.param(
            (ONE, OTHER, THIRD, ("truncate raw", 2, 3), ("crash", 0), ("start", "same"), ("cycle", 0), ONE),
            id="a record that comes while the end is asked for",
        ),
        # Two seeks at once: the older one went back behind records that were decided meanwhile.
        pytest.param(
            (("cycle", 0), ("stale ends", 0, 2), ONE, OTHER, ("fetch", 0, 3, 50), ("rebalance", 0), THIRD,
             ("job", 1, 30),
             ("tick", 0.1), ("tick", 0.1), ("rebalance", 0)),
            id="two seeks at once",
        ),
        # A topic made anew while a loss was being believed: all of the old one was written off.
        pytest.param((ONE, OTHER, THIRD, LOST_TAIL, ("fetch", 0, 0, 1), ("recreate raw",),
                      *[("tick", 0.6)] * 8), id="made anew is not cut"),
        # What was fetched between the seek of an assignment and its resumption was dropped and never sought again.
        pytest.param((("cycle", 0), ONE, ("rebalance", 0), ("fetch", 0, 0, 1)), id="the last of a log at a rebalance"),
    ],
)  # fmt: skip
def test_stays_mended(actions: tuple[Action, ...]) -> None:
    with run.quiet():
        for most in (4, 10_000):
            assert run.once(History(0, Choice(), most, actions)) is None
