"""Workers replaced and ended under 500 requests a second: nobody is refused, nothing that was acknowledged is lost."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.house.polling import wait_until
from tests.integration.edge.ground import Figure, Ground, ground

RATE, COUNT = 500.0, 6_000
ROLLS = 3
LIMIT_S = 90.0


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str) -> Iterator[Ground]:
    """Yield one pair of workers for both tests: the last one ends them."""
    with ground(tmp_path_factory.mktemp("edge"), kafka_bootstrap) as made:
        yield made


def test_replacing_and_ending_workers_under_load_fails_nobody_and_loses_nothing(at: Ground, figure: Figure) -> None:
    with at.honest(RATE, COUNT) as traffic:
        for roll in range(ROLLS):
            before = at.ingress.workers()
            if roll % 2:  # a worker that is ended leaves its requests to the others
                os.kill(before[0], signal.SIGTERM)
                _replaced(at, before[:1])
            else:
                os.kill(at.launched.process.pid, signal.SIGHUP)
                _replaced(at, before)
        seen = traffic.finish(LIMIT_S)
    figure("requests, restarts", f"{sum(seen.statuses.values())} answered, {ROLLS} restarts")
    figure("p50 / p99", f"{seen.ms(0.5)} / {seen.ms(0.99)} ms")
    assert seen.failures == {}
    assert seen.statuses == {"200": COUNT}
    assert set(seen.ids) - at.acknowledged() == set()
    assert len(set(seen.ids)) == COUNT


def test_ending_all_under_load_loses_nothing_that_was_acknowledged(at: Ground, figure: Figure) -> None:
    before = at.acknowledged()
    with at.honest(RATE) as traffic:
        wait_until(lambda: at.acknowledged() - before, LIMIT_S, every_s=1.0, what="deliveries")
        at.launched.process.send_signal(signal.SIGTERM)
        assert at.launched.process.wait(LIMIT_S) == 0
        seen = traffic.end()
    figure("acknowledged, refused after the end", f"{len(seen.ids)}, {sum(seen.failures.values())}")
    assert set(seen.statuses) == {"200"}
    assert set(seen.ids) - at.acknowledged() == set()


def _replaced(at: Ground, before: list[int]) -> None:
    """Wait until there are two workers and none of those."""

    def done() -> bool:
        now = at.ingress.workers()
        return len(now) == 2 and not set(now) & set(before)

    wait_until(done, LIMIT_S, what="two workers without those from before")
