"""The raw record of an authenticated request: topic, partition, key and headers (schemas/wire/raw.py).

Rule 4 of the data path: for an `event` source the id used as key is written into hb-event-id, and the partition is
computed in schemas/topics.py from the source's frozen count.
"""

import hashlib

import msgspec

from ingress import redact
from ingress.arrival import Arrival
from ingress.env import Env
from ingress.target import Target
from schemas import topics
from schemas.ids import uuid7_text
from schemas.wire.raw import HB_SHED, AuthResult, Header

MAX_EVENT_ID = 512
SHED_MARK = b"sample"
_NS_IN_US = 1_000
_NS_IN_MS = 1_000_000
_RANDOM = 10


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A record ready for `Publisher.publish`, and the delivery's id; `shed`: a marker, without the body."""

    delivery_id: str
    topic: str
    partition: int
    key: bytes
    headers: list[Header]
    body: bytes
    shed: bool = False

    def sample_key(self, partitioning: str) -> bytes:
        """Return by what it is told whether a shedding source keeps it: the event's id, else the delivery's."""
        return self.key if partitioning == "event" else self.delivery_id.encode()

    def marker(self) -> "Outgoing":
        """Return the marker of a delivery that is shed: its headers, and that it was."""
        headers = [*self.headers, (HB_SHED, SHED_MARK)]
        return Outgoing(self.delivery_id, self.topic, self.partition, self.key, headers, b"", True)


def make(
    target: Target, arrival: Arrival, body: bytes, proof: AuthResult, env: Env, trace: str | None = None
) -> Outgoing:
    """Make the record of a request; nothing secret of the request is in it. `trace`: the context that it carries."""
    now_ns = env.clock.time_ns()
    source = target.source
    delivery_id = uuid7_text(now_ns // _NS_IN_MS, env.random_bytes(_RANDOM))
    event_id = None
    if source.partitioning == "event":
        event_id = bounded(target.vendor.event_key(arrival.headers.by_name, body))
        key = delivery_id if event_id is None else f"{source.id}:{event_id}"
    else:
        key = source.id
    key_bytes = key.encode("utf-8", "surrogateescape")
    headers = target.stencil.fill(
        delivery_id,
        now_ns // _NS_IN_US,
        redact.query(arrival.query, target.carriers),
        arrival.headers.kept(target.carriers),
        proof,
        event_id,
        trace,
    )
    return Outgoing(delivery_id, source.topic, topics.partition(key_bytes, source.partitions), key_bytes, headers, body)


def bounded(event_id: str | None) -> str | None:
    """Return an id of at most 512 characters of valid text: a longer or odd one becomes its digest, always the same."""
    if event_id is None:
        return None
    odd = any("\ud800" <= char <= "\udfff" for char in event_id) if not event_id.isascii() else False
    if len(event_id) <= MAX_EVENT_ID and not odd:
        return event_id
    return "sha256:" + hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()
