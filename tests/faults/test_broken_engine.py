"""The suite can fail: a stage that writes its state before the commit, killed once between the two, is caught.

The negative control of the whole path: every count of such a run adds up, so only the orphan checks see it.
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.faults import broken, run
from tests.faults.rules import faults
from tests.faults.worker import BROKEN
from tests.system.client import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_state_written_before_the_commit_is_caught(tmp_path: Path) -> None:
    with run.prepared(1, 1, tmp_path / "run", print, {"streams": BROKEN}) as made:
        made.await_rows()
        flag = made.stack.folder / broken.DIE
        flag.touch()
        eventually("the stage killed itself", lambda: not flag.exists(), 60.0)
        made.await_rows()
        history = run.drained(made)
        code, said = run.audit(made)
    found = Counter(fault.partition(":")[0] for fault in faults(history))
    assert found["orphans"] > 0
    assert found.keys() <= {"orphans", "must", "resolutions"}  # no count is wrong; an orphan may be resolved later
    assert code == 1, said
