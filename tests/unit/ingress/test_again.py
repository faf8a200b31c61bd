"""A change that meets another writer is made again, unless the caller named the version that it means."""

from types import SimpleNamespace
from typing import Any

import pytest

from ingress.api.again import ATTEMPTS, again
from ingress.api.call import Answer
from schemas.errors import Refused
from schemas.reasons import Reason


class Change:
    """Meets other writers for the first `races` tries."""

    def __init__(self, races: int, reason: Reason = Reason.PRECONDITION_FAILED) -> None:
        self._races, self._reason, self.made = races, reason, 0

    async def __call__(self, _call: Any) -> Answer:
        self.made += 1
        if self.made <= self._races:
            raise Refused(self._reason, "another writer was first")
        return Answer({"made": self.made})


def call(if_match: frozenset[int] | None = None) -> Any:
    return SimpleNamespace(if_match=if_match)


@pytest.mark.parametrize("races", range(ATTEMPTS))
async def test_a_lost_race_is_run_again(races: int) -> None:
    change = Change(races)
    assert (await again(call(), change)).body == {"made": races + 1}


async def test_who_loses_every_race_is_told() -> None:
    change = Change(ATTEMPTS)
    with pytest.raises(Refused):
        await again(call(), change)
    assert change.made == ATTEMPTS


async def test_who_named_a_version_is_told_at_once() -> None:
    change = Change(1)
    with pytest.raises(Refused):
        await again(call(frozenset([3])), change)
    assert change.made == 1


async def test_what_is_refused_for_another_reason_is_not_asked_again() -> None:
    change = Change(1, Reason.NAME_TAKEN)
    with pytest.raises(Refused):
        await again(call(), change)
    assert change.made == 1
