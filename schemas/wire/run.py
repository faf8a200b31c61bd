"""The run record (topic `{tenant}.run.{target}`): UTF-8 JSON, one for each clean event and assignment that takes it.

JSON as the clean event is, which it holds byte for byte as its last member: a reader needs no schema
and no second read.
Key: the chat's id, so that what belongs to one chat is in one partition, in order (spec section 7).
"""

import msgspec

from schemas.wire.position import Position


class Run(msgspec.Struct, frozen=True, gc=False):
    """A run before it is written; `event`: the clean event's value, None = left out, it was `event_bytes` long.

    `role` is the event's, `assigned_role` what the assignment names. `event_topic` and `event_partition` say where the
    clean event stands, under the key `event_id`; `position` where its item stands in the raw topic.
    """

    run_id: str
    chat_id: str
    tenant_id: str
    role: str
    target: str
    assignment_id: str
    assigned_role: str
    event_id: str
    event_topic: str
    event_partition: int
    position: Position
    event_bytes: int
    event: bytes | None


class _Place(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    topic_id: str
    partition: int
    offset: int
    item: int


class _Written(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The members in the order of the wire; the clean event is copied as it is."""

    run_id: str
    chat_id: str
    tenant_id: str
    role: str
    target: str
    assignment_id: str
    assigned_role: str
    event_id: str
    event_topic: str
    event_partition: int
    position: _Place
    event_bytes: int
    event: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_NULL = msgspec.Raw(b"null")


def encode(run: Run) -> bytes:
    """Return the record's value: one JSON object whose last member is the clean event, byte for byte, or null."""
    return _encode(
        _Written(
            run.run_id,
            run.chat_id,
            run.tenant_id,
            run.role,
            run.target,
            run.assignment_id,
            run.assigned_role,
            run.event_id,
            run.event_topic,
            run.event_partition,
            _Place(*run.position),
            run.event_bytes,
            _NULL if run.event is None else msgspec.Raw(run.event),
        )
    )
