"""The span of a commit: linked to the batches whose events it holds.

Lives here: what is read of a record's headers, and the span. Off: nothing reads headers.
"""

from collections.abc import Sequence
from typing import cast

from confluent_kafka import Message

from schemas.tracing import Seen, Tracer
from schemas.wire.raw import HB_TRACEPARENT
from sinks.table import commit

NAME = "hookberg.commit"


def note(messages: Sequence[Message], seen: Seen) -> None:
    """Take note of the traced batches that messages come from."""
    for message in messages:
        for name, value in cast("list[tuple[str, bytes | None]]", message.headers() or []):
            if name == HB_TRACEPARENT and value is not None:
                seen.add(value.decode("latin-1"))


def committed(
    tracer: Tracer,
    where: tuple[str, str],
    of: Sequence[str],
    began: float,
    result: commit.Committed | commit.AlreadyThere | commit.Fenced,
) -> None:
    """Tell of a commit of `where` (stream, table) that began at `began` and holds rows of the batches `of`.

    What was not traced is not told.
    """
    if not of:
        return
    attributes: dict[str, str | int] = {
        "hookberg.stream": where[0],
        "hookberg.table": where[1],
        "hookberg.traced": len(of),
        "hookberg.result": type(result).__name__.lower(),
    }
    fault = ""
    if isinstance(result, commit.Fenced):
        fault = "fenced: another process has the table"
    elif result.state.snapshot_id is not None:
        attributes["hookberg.snapshot"] = result.state.snapshot_id
    tracer.end(tracer.linked(NAME, of, began), attributes, fault)
