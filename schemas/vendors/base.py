"""What a vendor is: one frozen `Vendor(...)` value, data first, functions only for event_key, split and facts.

Lives here: the shapes that ingress (auth, handshake, answers) and the stage (split, facts) read. Facts of the vendors:
one file each beside this one. Nothing here knows HTTP servers or Kafka.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas.signing.scheme import Coverage, Scheme

MIB = 1 << 20
HOUR_S = 3_600
DAY_S = 24 * HOUR_S
DEFAULT_BODY_LIMIT = 20_000_000
TOKEN_PREFIX = "verify_token:"  # noqa: S105 marks a secret that is a handshake's token
"""A secret that begins so is the token of a vendor's handshake and never a key: such tokens stand in URLs and logs."""
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
    """How a vendor wants to be answered: status, body (None = ours), its content type, headers beside it."""

    status: int = 200
    body: bytes | None = None
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Hello:
    """What a handshake may look at; `tokens` are the source's secrets that begin with TOKEN_PREFIX, without it."""

    method: str
    query: Mapping[str, str]
    headers: Headers
    body: bytes = b""
    tokens: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Handshake:
    """A request that is answered and never stored, checked after the sender was authenticated when `signed`.

    `reply` returns the answer, or None when this request is no handshake.
    """

    methods: tuple[str, ...]
    signed: bool
    reply: Callable[[Hello], Answer | None]


@dataclass(frozen=True, slots=True)
class JwtRule:
    """A bearer token that proves the sender (RFC 7519); the audience is the source's own, for example an app id.

    `keys_url`: the issuer's key set, or OpenID metadata that names it. `claim_in_body`: a claim that must equal a
    member of the body (JSON pointer); `endorsed_by`: the member that must be among the signing key's `endorsements`.
    The token says nothing of the other bytes.
    """

    issuer: str
    keys_url: str
    algorithms: tuple[str, ...] = ("RS256",)
    leeway_s: int = 300
    claim_in_body: tuple[str, str] | None = None
    endorsed_by: str | None = None
    coverage: Coverage = "none"


def no_key(_headers: Headers, _body: bytes) -> str | None:
    """Give no id per delivery: the source is partitioned by `source`."""
    return None


@dataclass(frozen=True, slots=True)
class Vendor:
    """Everything that differs between vendors. Sources of the facts: the vendor's own pages, named in `docs`.

    auth: the scheme that `hookberg send` signs by; also: others that the vendor may send instead, tried in turn.
    event_key: the id of a delivery from a header or one cheap look at the body (rule 4), None if it has none; the same
    as `vendor_event_id` of facts wherever `partitioning` is event.
    facts: (item, headers) -> Facts; total: returns what it finds, never raises on odd JSON.
    split: where the items stand in an object, the first path that fits (`/entry/*/changes/*`); arrays are always split.
    within: facts completed by the object that holds the item's array. first_item_signed: the signature of a batch
    covers item 0 alone. volatile: JSON pointers left out of the fingerprint. control: event types that are answered and
    counted, never a row. jwt: the vendor signs no bytes but sends a token. overload: what a source of it does past its
    capacity unless it says otherwise: `reject` where the vendor tries again for an hour or longer, `queue` where a
    refusal may lose the event or the hook. overload_status: 503 where a 4xx drops the event or counts against the hook.
    """

    name: str
    title: str
    docs: str
    auth: Scheme | None
    facts: Callable[[Mapping[str, Any], Headers], Facts]
    event_key: Callable[[Headers, bytes], str | None] = no_key
    partitioning: Literal["event", "source"] = "source"
    also: tuple[Scheme, ...] = ()
    jwt: JwtRule | None = None
    handshakes: tuple[Handshake, ...] = ()
    split: tuple[str, ...] = ()
    within: Callable[[Facts, Mapping[str, Any]], Facts] | None = None
    first_item_signed: bool = False
    control: frozenset[str] = frozenset()
    volatile: tuple[str, ...] = ()
    success: Answer = field(default_factory=Answer)
    refusal_status: int = 401
    deadline_s: float = 10.0
    retry_span_s: int = 0
    body_limit: int = DEFAULT_BODY_LIMIT
    overload: Literal["queue", "reject"] = "queue"
    overload_status: Literal[429, 503] = 429
    dedupe_fallback: Literal["delivery", "bodyHash"] = "delivery"
    setup: tuple[str, ...] = ()

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """Return every scheme by which a sender may prove itself, in the order in which they are tried."""
        return () if self.auth is None else (self.auth, *self.also)
