"""What a vendor is: one frozen `Vendor(...)` value, data first, functions only for event_key, split and facts.

Lives here: the shapes that ingress (auth, handshake, answers) and the stage (split, facts) read. Facts of the vendors:
one file each beside this one. Nothing here knows HTTP servers or Kafka.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas.signing.scheme import Scheme

MIB = 1 << 20
DEFAULT_BODY_LIMIT = 20_000_000
Headers = Mapping[str, str]
"""Request headers by lower-case name, first value wins; latin-1 text as received."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a vendor's item says of itself; None = it does not say.

    `event_time_ms` since the epoch; `vendor_event_id` must be stable over the vendor's retries; `correlation_id` is
    carried on; `vendor_tenant` is the vendor's own account, workspace or organisation (column source_identifier).
    """

    event_type: str | None
    vendor_event_id: str | None = None
    event_time_ms: int | None = None
    source_identifier: str | None = None
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """How a vendor wants to be answered: status, body (None = ours) and its content type."""

    status: int = 200
    body: bytes | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Handshake:
    """A request that is answered and never stored, checked after the sender was authenticated when `signed`.

    `reply(method, query, headers, body)` returns the answer, or None when this request is no handshake.
    """

    methods: tuple[str, ...]
    signed: bool
    reply: Callable[[str, Mapping[str, str], Headers, bytes], Answer | None]


def no_key(_headers: Headers, _body: bytes) -> str | None:
    """Give no id per delivery: the source is partitioned by `source`."""
    return None


@dataclass(frozen=True, slots=True)
class Vendor:
    """Everything that differs between vendors. Sources of the facts: the vendor's own pages, named in `docs`.

    event_key: the id of a delivery from a header or one cheap look at the body (rule 4), None if it has none.
    facts: (item, headers) -> Facts; total: returns what it finds, never raises on odd JSON.
    volatile: JSON pointers left out of the fingerprint. control: event types answered and counted, never a row.
    """

    name: str
    title: str
    docs: str
    auth: Scheme | None
    facts: Callable[[Mapping[str, Any], Headers], Facts]
    event_key: Callable[[Headers, bytes], str | None] = no_key
    partitioning: Literal["event", "source"] = "source"
    handshake: Handshake | None = None
    control: frozenset[str] = frozenset()
    volatile: tuple[str, ...] = ()
    success: Answer = field(default_factory=Answer)
    refusal_status: int = 401
    deadline_s: float = 10.0
    retry_span_s: int = 0
    body_limit: int = DEFAULT_BODY_LIMIT
    overload: Literal["queue", "reject"] = "queue"
    dedupe_fallback: Literal["delivery", "bodyHash"] = "delivery"
    setup: tuple[str, ...] = ()
