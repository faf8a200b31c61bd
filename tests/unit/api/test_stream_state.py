"""A stream's state: what is wanted, set beside what its writer said of this generation."""

from typing import Literal

import pytest

from ingress.api.resources.stream_state import state_of, trouble_of
from schemas.backing.registry import StreamRecord, StreamState
from schemas.definitions.stream import State, StreamDefinition

TOPIC = "acme.webhook.slack"


def _record(desired: Literal["running", "stopped"], generation: int) -> StreamRecord:
    definition = StreamDefinition.model_validate({"name": "s", "topics": [TOPIC], "targetTable": "t"})
    return StreamRecord("id", "acme", "s", 1, 0, 0, definition, desired, generation, accept_loss=False)


@pytest.mark.parametrize(
    ("desired", "generation", "said", "of", "topics", "expected"),
    [
        ("stopped", 0, None, 0, (), State.CREATED),
        ("running", 1, None, 0, (), State.WAITING),
        ("running", 1, None, 0, (TOPIC,), State.STARTING),
        ("running", 1, State.RUNNING, 1, (TOPIC,), State.RUNNING),
        ("running", 2, State.FAILED, 1, (TOPIC,), State.STARTING),
        ("running", 2, State.FAILED, 2, (TOPIC,), State.FAILED),
        ("running", 1, State.WAITING, 1, (TOPIC,), State.WAITING),
        ("running", 2, State.STOPPED, 2, (TOPIC,), State.STARTING),
        ("stopped", 1, State.RUNNING, 1, (TOPIC,), State.STOPPING),
        ("stopped", 1, State.STOPPED, 1, (TOPIC,), State.STOPPED),
        ("stopped", 1, State.FAILED, 1, (TOPIC,), State.STOPPED),
        ("stopped", 1, None, 0, (TOPIC,), State.STOPPED),
    ],
)
def test_state_follows_desire_and_writer(
    desired: Literal["running", "stopped"],
    generation: int,
    said: State | None,
    of: int,
    topics: tuple[str, ...],
    expected: State,
) -> None:
    state = None if said is None else StreamState("id", said, generation=of)
    assert state_of(_record(desired, generation), state, topics) is expected


def test_trouble_of_an_older_run_is_over() -> None:
    said = StreamState("id", State.FAILED, reason="offsets_expired", message="m", generation=1)
    assert trouble_of(_record("running", 1), said) == {"reason": "offsets_expired", "message": "m"}
    assert trouble_of(_record("running", 2), said) is None
