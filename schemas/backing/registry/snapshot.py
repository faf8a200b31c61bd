"""Loads the registry into one immutable snapshot: one read transaction, one query a table.

Lives here: rows -> views. Not here: when it is loaded (view.py). What has not changed is not parsed again.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from schemas import topics
from schemas.backing.registry import tables
from schemas.backing.registry.changes import revision
from schemas.backing.registry.vault import Vault
from schemas.contracts import Asserted
from schemas.definitions.base import Definition
from schemas.definitions.key import KeyDefinition
from schemas.definitions.schema import SubjectDefinition
from schemas.definitions.source import SourceDefinition
from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import KeyView, RoleView, SecretView, Snapshot, SourceView, StreamView, TopicView

D = TypeVar("D", bound=Definition)
_IDS = 500
"""Ids in one query: SQLite bounds its parameters."""


class Loader:
    """Makes snapshots; keeps the parsed definitions of the last one by (id, version) and the texts of its schemas."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._parsed: Mapping[tuple[str, int], Definition] = {}
        self._texts: dict[tuple[str, int], bytes] = {}

    def load(self, connection: Connection) -> Snapshot:
        """Return the registry as this transaction sees it; raises `ConfigurationError` when the vault key is wrong."""
        parse = _Parse(self._parsed)
        alive = frozenset(
            connection.execute(select(tables.TENANTS.c.id).where(tables.TENANTS.c.disabled.is_(False))).scalars()
        )
        sources = self._sources(connection, parse)
        by_platform = _by_platform(sources, alive)
        snapshot = Snapshot(
            revision=revision(connection),
            tenants=alive,
            sources=sources,
            by_platform=by_platform,
            by_url=_by_url(connection, sources, alive),
            keys=_keys(connection, alive, parse),
            streams=_streams(connection, _by_platform(sources), parse),
            topics=_topics(connection),
            schemas=self._schemas(connection, parse),
            roles=_roles(connection),
        )
        self._parsed = parse.used
        return snapshot

    def _sources(self, connection: Connection, parse: "_Parse") -> dict[str, SourceView]:
        secrets: dict[str, list[SecretView]] = defaultdict(list)
        rows = tables.SOURCE_SECRETS
        for row in connection.execute(select(rows).order_by(rows.c.created_at_ms, rows.c.id)):
            secrets[row.source_id].append(SecretView(row.id, self._vault.decrypt(row.ciphertext, row.id)))
        return {
            row.id: SourceView(
                id=row.id,
                tenant=row.tenant_id,
                platform=row.platform,
                name=row.name,
                version=row.version,
                definition=parse(SourceDefinition, row),
                partitioning=row.partitioning,
                partitions=row.partitions,
                topic=row.topic,
                open=row.open,
                secrets=tuple(secrets.get(row.id, ())),
                key_id=row.key_id,
            )
            for row in connection.execute(select(tables.SOURCES))
        }

    def _schemas(self, connection: Connection, parse: "_Parse") -> dict[tuple[str, str], bytes]:
        """Return the texts of all versions; one never changes, so each is read once and stays the same object."""
        subjects, versions = tables.SUBJECTS, tables.SCHEMA_VERSIONS
        owners = {row.id: (row, parse(SubjectDefinition, row)) for row in connection.execute(select(subjects))}
        keys = [(row.subject_id, row.number) for row in connection.execute(select(*versions.primary_key.columns))]
        kept = {key: self._texts[key] for key in keys if key in self._texts}
        missing = sorted({subject_id for subject_id, number in keys if (subject_id, number) not in kept})
        for at in range(0, len(missing), _IDS):
            query = select(versions).where(versions.c.subject_id.in_(missing[at : at + _IDS]))
            for row in connection.execute(query):
                asserted = row.subject_id in owners and owners[row.subject_id][1].assert_formats
                text = Asserted(row.text) if asserted else bytes(row.text)
                kept.setdefault((row.subject_id, row.number), text)
        self._texts = kept
        return {
            (owners[subject_id][0].tenant_id, f"{owners[subject_id][0].name}@{number}"): text
            for (subject_id, number), text in kept.items()
            if subject_id in owners
        }


class _Parse:
    """Parses a row's definition unless the last snapshot held it."""

    def __init__(self, known: Mapping[tuple[str, int], Definition]) -> None:
        self._known = known
        self.used: dict[tuple[str, int], Definition] = {}

    def __call__(self, model: type[D], row: Any) -> D:  # noqa: ANN401 a row with id, version, definition
        key = (row.id, row.version)
        found = self._known.get(key)
        definition = found if isinstance(found, model) else model.model_validate_json(row.definition)
        self.used[key] = definition
        return definition


def _by_platform(
    sources: Mapping[str, SourceView], alive: frozenset[str] | None = None
) -> dict[tuple[str, str], tuple[SourceView, ...]]:
    """Return sources by tenant and platform; of the tenants `alive`, or of all: streams of others may yet drain."""
    found: dict[tuple[str, str], list[SourceView]] = defaultdict(list)
    for source in sorted(sources.values(), key=lambda source: source.name):
        if alive is None or source.tenant in alive:
            found[source.tenant, source.platform].append(source)
    return {key: tuple(views) for key, views in found.items()}


def _by_url(
    connection: Connection, sources: Mapping[str, SourceView], alive: frozenset[str]
) -> dict[bytes, tuple[str, str]]:
    rows = connection.execute(select(tables.SOURCE_URLS))
    return {bytes(row.digest): (row.source_id, row.id) for row in rows if sources[row.source_id].tenant in alive}


def _keys(connection: Connection, alive: frozenset[str], parse: _Parse) -> dict[bytes, KeyView]:
    return {
        bytes(row.digest): KeyView(row.id, row.tenant_id, frozenset(parse(KeyDefinition, row).permissions), row.name)
        for row in connection.execute(select(tables.KEYS))
        if row.tenant_id is None or row.tenant_id in alive
    }


def _streams(
    connection: Connection, by_platform: Mapping[tuple[str, str], tuple[SourceView, ...]], parse: _Parse
) -> dict[str, StreamView]:
    found = {}
    for row in connection.execute(select(tables.STREAMS)):
        definition = parse(StreamDefinition, row)
        found[row.id] = StreamView(
            id=row.id,
            tenant=row.tenant_id,
            name=row.name,
            version=row.version,
            definition=definition,
            desired=row.desired,
            generation=row.generation,
            accept_loss=row.accept_loss,
            frozen=_frozen(definition, by_platform),
        )
    return found


def _frozen(definition: StreamDefinition, by_platform: Mapping[tuple[str, str], tuple[SourceView, ...]]) -> bool:
    """Tell whether a production source feeds the stream: its table infers nothing then (spec section 5)."""
    named = [topics.parse(topic) for topic in definition.topics]
    return any(
        source.definition.production
        for name in named
        if name is not None
        for source in by_platform.get((name.tenant, name.target), ())
    )


def _roles(connection: Connection) -> dict[str, tuple[RoleView, ...]]:
    """Return the assignments whose run topics have been led, by tenant."""
    found: dict[str, list[RoleView]] = defaultdict(list)
    rows = tables.ROLES
    for row in connection.execute(select(rows).where(rows.c.open.is_(True)).order_by(rows.c.id)):
        topic = topics.run(row.tenant_id, row.target)
        found[row.tenant_id].append(RoleView(row.id, row.name, row.role, row.target, topic))
    return {tenant: tuple(views) for tenant, views in found.items()}


def _topics(connection: Connection) -> dict[str, TopicView]:
    return {
        row.name: TopicView(
            row.name,
            row.topic_id,
            row.tenant_id,
            row.kind,
            row.platform,
            row.partitions,
            row.group_name,
            row.paused,
            row.slot,
            row.span,
        )
        for row in connection.execute(select(tables.TOPICS))
    }
