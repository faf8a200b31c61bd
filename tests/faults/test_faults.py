"""A short run of the fault suite: one broker, a handful of faults, every rule checked per position.

Afterwards every acknowledged delivery has exactly one outcome per item, every clean event exactly one row a stream.
`make faults SEED= ROUNDS= BROKERS=` runs longer ones; the schedule of this one is fixed, its moments follow the seed.
"""

from collections.abc import Iterator

import pytest

from tests.faults import menu, run
from tests.faults.run import Result, Run
from tests.faults.stack import NAMES
from tests.faults.traffic import PLATFORMS, SECRET
from tests.system.client import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SEED = 4
CHOSEN = ["paused", "lost commit answers", "zombie streams", "kill broker", "redrive and kill sinks"]
"""By this seed the ingress is killed during the pause."""


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Yield a run after its faults, with everything still running."""
    print(f"SEED={SEED}")
    chosen = menu.schedule(SEED, len(CHOSEN), 1, CHOSEN)
    with run.prepared(SEED, 1, tmp_path_factory.mktemp("faults") / "run", print) as made:
        try:
            run.chaos(made, chosen)
        except AssertionError:
            print(made.stack.tails())
            raise
        yield made


@pytest.fixture(scope="module")
def result(chaos: Run) -> Result:
    """Drain, and judge."""
    found = run.judged(chaos, SEED, 1)
    if found.broken:
        print(chaos.stack.tails())
    return found


def test_every_rule_holds_per_position_and_the_audit_agrees(result: Result) -> None:
    assert not result.broken, "\n".join(result.broken)


def test_the_run_exercised_what_it_is_for(result: Result) -> None:
    history = result.history
    outcomes = {other["outcome"] for record in history.ledger for other in record["others"]}
    assert {"duplicate", "quarantined"} <= outcomes
    assert len(history.clean) > 200
    assert any(position.item > 0 for position in history.items)
    assert set(history.platforms.values()) == set(PLATFORMS)
    rows = {table.name: len(table.rows) for table in history.tables}
    assert rows["nothing"] == 0
    assert min(rows["issues"], rows["orders"], rows["late"]) > 0


def test_redrives_and_the_pause_left_their_traces(result: Result) -> None:
    history = result.history
    assert history.held
    assert sum(topic.total() for topic, _ in history.pairs.values()) > 0
    assert any(position[:3] in history.redriven for position in history.items)


def test_every_process_is_ready_again(chaos: Run) -> None:
    def ready() -> bool:
        return all(chaos.stack.keeper.workers[name].ready() for name in NAMES)

    eventually("all processes are ready", ready)


def test_no_log_names_a_secret(chaos: Run) -> None:
    for log in sorted((chaos.stack.folder / "logs").glob("*.log")):
        text = log.read_text("utf-8", "replace")
        assert SECRET not in text, log.name
        assert chaos.stack.server.admin_key not in text, log.name
