"""A stream's state as told to people: what is wanted of it, set beside what its writer said last. Pure."""

from collections.abc import Collection

from schemas.backing.registry import StreamRecord, StreamState
from schemas.definitions.stream import State
from schemas.definitions.view import StreamView

_ALIVE = frozenset({State.STARTING, State.WAITING, State.RUNNING, State.STOPPING})


def state_of(record: StreamRecord | StreamView, said: StreamState | None, topics: Collection[str]) -> State:
    """Return where a stream is; `topics` are the names of those that exist.

    What a writer said of an older generation is about a run that is over: then the stream is starting, or waiting for
    its topics.
    """
    now = said if said is not None and said.generation >= record.generation else None
    if record.desired == "running":
        if now is not None and now.state in {State.STARTING, State.WAITING, State.RUNNING, State.FAILED}:
            return now.state
        return State.STARTING if any(topic in topics for topic in record.definition.topics) else State.WAITING
    if record.generation == 0:
        return State.CREATED
    return State.STOPPING if now is not None and now.state in _ALIVE else State.STOPPED


def trouble_of(record: StreamRecord, said: StreamState | None) -> dict[str, str | None] | None:
    """Return `{reason, message}` of the present run's failure; None when there is none."""
    if said is None or said.generation < record.generation or said.reason is None:
        return None
    return {"reason": said.reason, "message": said.message}
