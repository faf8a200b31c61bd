"""What the data plane knows of the registry: one immutable snapshot per revision, read without a lock or a query.

Lives here: the shapes. How a snapshot is loaded and kept: backing/registry/view.py. Every mapping is read-only by
agreement; a new revision is a new snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.definitions.key import Permission
from schemas.definitions.source import SourceDefinition
from schemas.definitions.stream import StreamDefinition


@dataclass(frozen=True, slots=True)
class SecretView:
    """One decrypted secret of a source; `value` never appears in repr."""

    id: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source as ingress and the stage see it; `topic` is its raw topic, `open`: every partition has a leader."""

    id: str
    tenant: str
    platform: str
    name: str
    version: int
    definition: SourceDefinition
    partitioning: str
    partitions: int
    topic: str
    open: bool
    secrets: tuple[SecretView, ...] = ()
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class KeyView:
    """An API key; `tenant` None = any tenant."""

    id: str
    tenant: str | None
    permissions: frozenset[Permission]
    name: str


@dataclass(frozen=True, slots=True)
class StreamView:
    """A stream as the writers see it; `definition.topics` and `definition.target_table` are resolved."""

    id: str
    tenant: str
    name: str
    version: int
    definition: StreamDefinition
    desired: str
    generation: int
    accept_loss: bool
    frozen: bool


@dataclass(frozen=True, slots=True)
class TopicView:
    """A topic that the registry made; `group` is the worker group of a raw topic (rule 11), "" for others.

    `slot` of a raw topic: the number of its group among those of the tenant, from 0; `span` of a ledger or run topic:
    how many partitions each of these groups has to itself (rule 9), 0 = not known: all of them.
    """

    name: str
    topic_id: str
    tenant: str
    kind: str
    platform: str
    partitions: int
    group: str
    paused: bool
    slot: int = 0
    span: int = 0


@dataclass(frozen=True, slots=True)
class RoleView:
    """An assignment whose run topic has been led: events of `role` (a role, or a glob over roles) go to `topic`."""

    id: str
    name: str
    role: str
    target: str
    topic: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The registry at one revision.

    `by_platform` maps (tenant, platform) to sources by name; `by_url` the SHA-256 of a URL token to
    (source id, url id);
    `roles` a tenant to its assignments, by id; `keys` the SHA-256 of a key;
    `schemas` `(tenant, "subject@version")` to the schema's JSON text.
    """

    revision: int
    tenants: frozenset[str]
    sources: Mapping[str, SourceView]
    by_platform: Mapping[tuple[str, str], tuple[SourceView, ...]]
    by_url: Mapping[bytes, tuple[str, str]] = field(repr=False)
    keys: Mapping[bytes, KeyView] = field(repr=False)
    streams: Mapping[str, StreamView]
    topics: Mapping[str, TopicView]
    schemas: Mapping[tuple[str, str], bytes] = field(repr=False)
    roles: Mapping[str, tuple[RoleView, ...]] = field(default_factory=dict)


EMPTY = Snapshot(
    revision=-1,
    tenants=frozenset(),
    sources={},
    by_platform={},
    by_url={},
    keys={},
    streams={},
    topics={},
    schemas={},
)
"""What a view answers before its first load: nothing is known, every URL is 404, readiness is false."""
