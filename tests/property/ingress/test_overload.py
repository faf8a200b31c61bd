"""Shedding keeps its word: one fate a delivery, the same for the same key, never more lost than declared."""

from hypothesis import given
from hypothesis import strategies as st

from ingress.overload import policies
from ingress.overload.budget import LossBudget
from ingress.overload.policies import Strain
from schemas.definitions.overload import Overload, Shed, Threshold
from schemas.overload import Backlog, Level

KEYS = st.binary(min_size=0, max_size=40)
RATIOS = st.floats(0, 0.999)


@given(KEYS, RATIOS, st.booleans())
def test_a_delivery_has_one_fate_and_the_same_everywhere(key: bytes, keep: float, left: bool) -> None:
    meets = Strain(Level.ALARM, "shed", sheds=True, keep_ratio=keep)
    asked: list[bool] = []

    def may_lose() -> bool:
        asked.append(left)
        return left

    found = policies.fate(meets, key, may_lose)
    kept = policies.is_kept(key, keep)
    assert found == ("kept" if kept else "shed" if left else "refused")
    assert len(asked) == (not kept)  # what is kept costs the budget nothing
    assert policies.fate(meets, key, lambda: left) == found


@given(KEYS, RATIOS, RATIOS)
def test_who_is_kept_is_kept_by_every_larger_sample(key: bytes, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert policies.is_kept(key, high) or not policies.is_kept(key, low)


@given(st.floats(0.01, 0.99))
def test_the_sample_is_as_large_as_asked(keep: float) -> None:
    kept = sum(policies.is_kept(b"source:%d" % number, keep) for number in range(2_000))
    assert abs(kept / 2_000 - keep) < 0.06


STEPS = st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.floats(0, 40)), max_size=200)


@given(STEPS, st.floats(0.001, 1), st.integers(60, 120))
def test_no_window_loses_more_than_its_share_over_all_workers(
    steps: list[tuple[int, bool, float]], ratio: float, window: int
) -> None:
    """Three workers take and lose in any order, over many windows; each knows only its own deliveries."""
    shed, now = Shed(loss_ratio=ratio, window_seconds=window), 1_700_000_000.0
    workers = [LossBudget(shed, 0, now) for _ in range(3)]
    taken, came, lost = [0, 0, 0], dict[int, int](), dict[int, int]()
    for number, wants, seconds in steps:
        now += seconds
        at = int(now // window)
        if wants and workers[number].take(taken[number], now):
            lost[at] = lost.get(at, 0) + 1
            taken[number] += 1
            came[at] = came.get(at, 0) + 1
        elif not wants:
            workers[number].roll(taken[number], now)
            taken[number] += 1
            came[at] = came.get(at, 0) + 1
    assert all(count <= ratio * came[at] for at, count in lost.items())


@given(st.integers(0, 10**6), st.floats(0, 10**4), st.integers(0, 10**6), st.floats(0, 10**4), st.floats(0.1, 60))
def test_more_backlog_never_makes_an_answer_sooner(
    events: int, age_s: float, more: int, older: float, deadline_s: float
) -> None:
    overload = Overload(warn=Threshold(events=100, age_seconds=5), alarm=Threshold(events=1_000, age_seconds=50))
    first = policies.delay_s(Level.WARN, Backlog(events, age_s), overload, deadline_s)
    second = policies.delay_s(Level.WARN, Backlog(events + more, age_s + older), overload, deadline_s)
    assert 0 <= first <= second <= policies.longest_s(deadline_s)
