"""Sources: definition without secrets, their URLs and secrets beside it, one raw topic a platform of a tenant."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from schemas import names, topics
from schemas.backing.registry.changes import HIDDEN, diff
from schemas.backing.registry.objects import source_secrets, source_urls
from schemas.backing.registry.objects import topics as topic_rows
from schemas.backing.registry.objects.repository import Rim, alive, expect, find, page_of, taken
from schemas.backing.registry.objects.source_secrets import Resolver
from schemas.backing.registry.objects.tallies import read_tally
from schemas.backing.registry.record import Actor, Page, PageRequest, SecretRecord, SourceRecord, UrlRecord
from schemas.backing.registry.tables import SOURCES
from schemas.backing.registry.vault import Vault
from schemas.definitions.auth import SecretRef
from schemas.definitions.source import SourceDefinition
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import FieldChange, Op


@dataclass(frozen=True, slots=True)
class Sources:
    """The repository of sources; `resolver` turns a secret's reference into its bytes when it is saved."""

    rim: Rim
    vault: Vault
    resolver: Resolver
    groups: int

    def create(
        self,
        tenant: str,
        definition: SourceDefinition,
        *,
        partitioning: str,
        partitions: int,
        key_id: str | None = None,
        actor: Actor,
    ) -> SourceRecord:
        """Make a source, closed until `set_open`; a topic that exists keeps its partition count.

        Raises `Refused`: not_found (tenant), name_taken, topic_name_taken, topic_shared, unsupported (rule 11).
        """
        name = definition.name or default_name(definition.platform)
        topic, now = topics.raw(tenant, definition.platform), self.rim.now_ms()
        secrets = source_secrets.resolved(definition.auth, self.resolver)
        kept = _without_secrets(definition, name)
        with self.rim.database.change() as connection:
            alive(connection, tenant)
            taken(connection, SOURCES, tenant, name)
            _not_shared(connection, topic, paused=kept.paused)
            count = topic_rows.partitions_of(connection, topic, partitions)
            topic_rows.choose_group(connection, self.groups, count)
            clean, bad = topics.event(tenant, kept.platform), topics.quarantine(tenant, kept.platform)
            topic_rows.reserve(connection, topic, clean, bad)
            row = connection.execute(
                insert(SOURCES)
                .values(
                    id=self.rim.new_id(),
                    tenant_id=tenant,
                    name=name,
                    platform=kept.platform,
                    topic=topic,
                    partitioning=partitioning,
                    partitions=count,
                    open=False,
                    key_id=key_id,
                    definition=kept.model_dump_json(by_alias=True),
                    version=1,
                    created_at_ms=now,
                    updated_at_ms=now,
                )
                .returning(*SOURCES.c)
            ).one()
            source_secrets.put(connection, self.rim, self.vault, row.id, secrets)
            topic_rows.pause(connection, topic, paused=kept.paused)
            self._log(connection, row, actor, Op.CREATED, (*diff(None, kept.to_wire()), *_hidden(secrets)))
        return _record(row)

    def get(self, tenant: str, id_or_name: str) -> SourceRecord:
        """Return a source; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            return _record(find(connection, SOURCES, tenant, id_or_name))

    def list(self, tenant: str, page: PageRequest, platform: str | None = None) -> Page[SourceRecord]:
        """Return the sources of a tenant by name; of one platform, or all."""
        query = select(SOURCES).where(SOURCES.c.tenant_id == tenant)
        if platform is not None:
            query = query.where(SOURCES.c.platform == platform)
        with self.rim.database.read() as connection:
            return page_of(connection, query, SOURCES.c.name, SOURCES.c.id, page, _record)

    def update(
        self, tenant: str, source_id: str, definition: SourceDefinition, *, if_match: int | None = None, actor: Actor
    ) -> SourceRecord:
        """Replace a definition; secrets it names replace the stored ones, none named keeps them.

        Raises `Refused`: not_found, precondition_failed, immutable, name_taken, topic_shared.
        """
        secrets = source_secrets.resolved(definition.auth, self.resolver)
        with self.rim.database.change() as connection:
            row = find(connection, SOURCES, tenant, source_id)
            expect(row, if_match)
            _same(row, definition)
            kept = _without_secrets(definition, definition.name or row.name)
            taken(connection, SOURCES, tenant, str(kept.name), but=row.id)
            if kept.paused:
                _not_shared(connection, row.topic, paused=True, but=row.id)
            fields = diff(_definition(row).to_wire(), kept.to_wire())
            if secrets and source_secrets.put(connection, self.rim, self.vault, row.id, secrets):
                fields = (*fields, *_hidden(secrets))
            if not fields:
                return _record(row)
            topic_rows.pause(connection, row.topic, paused=kept.paused)
            row = self._set(connection, row, name=kept.name, definition=kept.model_dump_json(by_alias=True))
            self._log(connection, row, actor, Op.UPDATED, fields)
        return _record(row)

    def delete(self, tenant: str, source_id: str, *, if_match: int | None = None, actor: Actor) -> None:
        """Remove a source with its URLs and secrets; its topics stay. Raises `Refused`: not_found, precondition."""
        with self.rim.database.change() as connection:
            row = find(connection, SOURCES, tenant, source_id)
            expect(row, if_match)
            connection.execute(delete(SOURCES).where(SOURCES.c.id == row.id))
            if _definition(row).paused:
                topic_rows.pause(connection, row.topic, paused=False)
            self._log(connection, row, actor, Op.DELETED, diff(_definition(row).to_wire(), None))

    def set_open(self, tenant: str, source_id: str, *, actor: Actor) -> SourceRecord:
        """Open a source: every partition of its topics has a leader (rule 2). Once open, nothing is written."""
        with self.rim.database.change() as connection:
            row = find(connection, SOURCES, tenant, source_id)
            if not row.open:
                opened = update(SOURCES).where(SOURCES.c.id == row.id).values(open=True).returning(*SOURCES.c)
                row = connection.execute(opened).one()
                self._log(connection, row, actor, Op.UPDATED, (FieldChange("/open", old=False, new=True),))
        return _record(row)

    def add_url(self, tenant: str, source_id: str, *, actor: Actor) -> tuple[str, str]:
        """Make a secret URL: (url id, token), the token this once. Raises `Refused`: not_found, in_use past two."""
        with self.rim.database.change() as connection:
            row = find(connection, SOURCES, tenant, source_id)
            url_id, token = source_urls.add(connection, self.rim, row.id)
            self._log(connection, row, actor, Op.UPDATED, (FieldChange(f"/urls/{url_id}", None, HIDDEN),))
        return url_id, token

    def revoke_url(self, tenant: str, source_id: str, url_id: str, *, actor: Actor) -> None:
        """End a URL: unknown everywhere with the next snapshot. Raises `Refused(not_found)`."""
        with self.rim.database.change() as connection:
            row = find(connection, SOURCES, tenant, source_id)
            source_urls.revoke(connection, row.id, url_id)
            self._log(connection, row, actor, Op.UPDATED, (FieldChange(f"/urls/{url_id}", HIDDEN, None),))

    def add_secret(self, tenant: str, source_id: str, secret: bytes | SecretRef, *, actor: Actor) -> str:
        """Add a secret beside the others (two-step rotation); returns its id. Raises `Refused`: not_found, in_use."""
        value = secret if isinstance(secret, bytes) else self.resolver(secret)
        with self.rim.database.change() as connection:
            row = find(connection, SOURCES, tenant, source_id)
            secret_id = source_secrets.add(connection, self.rim, self.vault, row.id, value)
            self._log(connection, row, actor, Op.UPDATED, (FieldChange(f"/secrets/{secret_id}", None, HIDDEN),))
        return secret_id

    def remove_secret(self, tenant: str, source_id: str, secret_id: str, *, actor: Actor) -> None:
        """Remove a secret. Raises `Refused(not_found)`."""
        with self.rim.database.change() as connection:
            row = find(connection, SOURCES, tenant, source_id)
            source_secrets.remove(connection, self.rim, row.id, secret_id)
            self._log(connection, row, actor, Op.UPDATED, (FieldChange(f"/secrets/{secret_id}", HIDDEN, None),))

    def urls(self, tenant: str, source_id: str) -> tuple[UrlRecord, ...]:
        """Return the URLs of a source, oldest first, with their last use and without tokens."""
        with self.rim.database.read() as connection:
            row = find(connection, SOURCES, tenant, source_id)
            return source_urls.of(connection, row.id, read_tally(connection, row.id).secret_last_used)

    def secrets(self, tenant: str, source_id: str) -> tuple[SecretRecord, ...]:
        """Return the secrets of a source, oldest first, with their last use and without their text."""
        with self.rim.database.read() as connection:
            row = find(connection, SOURCES, tenant, source_id)
            return source_secrets.of(connection, row.id, read_tally(connection, row.id).secret_last_used)

    def _set(self, connection: Connection, row: Row[Any], **values: Any) -> Row[Any]:  # noqa: ANN401 columns
        changed = update(SOURCES).where(SOURCES.c.id == row.id)
        changed = changed.values(version=row.version + 1, updated_at_ms=self.rim.now_ms(), **values)
        return connection.execute(changed.returning(*SOURCES.c)).one()

    def _log(self, connection: Connection, row: Row[Any], actor: Actor, op: Op, fields: Iterable[FieldChange]) -> None:
        entity = ("source", row.id, row.name)
        self.rim.changes.append(connection, actor, entity, op, tenant=row.tenant_id, version=row.version, fields=fields)


def default_name(platform: str) -> str:
    """Return the name of a source that was given none: its platform, fitted to the pattern of names."""
    return re.sub(r"[^a-z0-9-]", "-", platform).strip("-")[:63].rstrip("-") or "source"


def _without_secrets(definition: SourceDefinition, name: str) -> SourceDefinition:
    auth = definition.auth.model_copy(update={"secrets": ()})
    return definition.model_copy(update={"auth": auth, "name": names.label("source", name)})


def _hidden(secrets: tuple[bytes, ...]) -> tuple[FieldChange, ...]:
    return (FieldChange("/auth/secrets", None, HIDDEN),) if secrets else ()


def _same(row: Row[Any], definition: SourceDefinition) -> None:
    if definition.platform != row.platform:
        raise Refused(Reason.IMMUTABLE, f"platform stays {row.platform!r}: make another source")
    if definition.partitioning not in {None, row.partitioning}:
        raise Refused(Reason.IMMUTABLE, f"partitioning stays {row.partitioning!r}: make another source")


def _not_shared(connection: Connection, topic: str, *, paused: bool, but: str = "") -> None:
    query = select(SOURCES).where(SOURCES.c.topic == topic, SOURCES.c.id != but)
    for other in connection.execute(query):
        if paused or _definition(other).paused:
            raise Refused(
                Reason.TOPIC_SHARED, f"source {other.name!r} shares topic {topic}: pausing acts on the whole topic"
            )


def _definition(row: Row[Any]) -> SourceDefinition:
    return SourceDefinition.model_validate_json(row.definition)


def _record(row: Row[Any]) -> SourceRecord:
    return SourceRecord(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        version=row.version,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        definition=_definition(row),
        topic=row.topic,
        partitioning=row.partitioning,
        partitions=row.partitions,
        open=row.open,
        key_id=row.key_id,
    )
