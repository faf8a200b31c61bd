"""Schema subjects and their versions: numbered from 1, immutable, kept as the bytes that were given."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from schemas.backing.registry.changes import diff
from schemas.backing.registry.objects.repository import Rim, alive, expect, find, page_of, taken
from schemas.backing.registry.record import Actor, Page, PageRequest, Record
from schemas.backing.registry.tables import SCHEMA_VERSIONS, SOURCES, SUBJECTS
from schemas.definitions.schema import IMMUTABLE, MAX_SCHEMA_BYTES, SubjectDefinition
from schemas.definitions.source import SourceDefinition
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import FieldChange, Op


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One version of a subject; `schema_json` as it was given."""

    subject: str
    version: int
    created_at_ms: int
    schema_json: bytes


@dataclass(frozen=True, slots=True)
class Subjects:
    """The repository of subjects."""

    rim: Rim

    def create(self, tenant: str, definition: SubjectDefinition, *, actor: Actor) -> Record[SubjectDefinition]:
        """Make a subject without versions. Raises `Refused`: not_found (tenant), name_taken."""
        now = self.rim.now_ms()
        with self.rim.database.change() as connection:
            alive(connection, tenant)
            taken(connection, SUBJECTS, tenant, definition.subject)
            row = connection.execute(
                insert(SUBJECTS)
                .values(
                    id=self.rim.new_id(),
                    tenant_id=tenant,
                    name=definition.subject,
                    definition=definition.model_dump_json(by_alias=True),
                    version=1,
                    created_at_ms=now,
                    updated_at_ms=now,
                )
                .returning(*SUBJECTS.c)
            ).one()
            self._log(connection, row, actor, Op.CREATED, diff(None, definition.to_wire()))
        return _record(row)

    def get(self, tenant: str, subject: str) -> Record[SubjectDefinition]:
        """Return a subject; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            return _record(find(connection, SUBJECTS, tenant, subject))

    def list(self, tenant: str, page: PageRequest) -> Page[Record[SubjectDefinition]]:
        """Return the subjects of a tenant by name."""
        query = select(SUBJECTS).where(SUBJECTS.c.tenant_id == tenant)
        with self.rim.database.read() as connection:
            return page_of(connection, query, SUBJECTS.c.name, SUBJECTS.c.id, page, _record)

    def update(
        self, tenant: str, subject: str, definition: SubjectDefinition, *, if_match: int | None = None, actor: Actor
    ) -> Record[SubjectDefinition]:
        """Replace a definition, not its versions. Raises `Refused`: not_found, precondition_failed, immutable."""
        with self.rim.database.change() as connection:
            row = find(connection, SUBJECTS, tenant, subject)
            expect(row, if_match)
            before, after = _record(row).definition.to_wire(), definition.to_wire()
            for member in IMMUTABLE:
                if before[member] != after[member]:
                    raise Refused(Reason.IMMUTABLE, f"{member} of a subject never changes: make another subject")
            fields = diff(before, after)
            if not fields:
                return _record(row)
            changed = (
                update(SUBJECTS)
                .where(SUBJECTS.c.id == row.id)
                .values(
                    definition=definition.model_dump_json(by_alias=True),
                    version=row.version + 1,
                    updated_at_ms=self.rim.now_ms(),
                )
            )
            row = connection.execute(changed.returning(*SUBJECTS.c)).one()
            self._log(connection, row, actor, Op.UPDATED, fields)
        return _record(row)

    def find_version(self, tenant: str, subject: str, schema_json: bytes) -> SchemaVersion | None:
        """Return the version that has exactly these bytes, None when none has; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            row = find(connection, SUBJECTS, tenant, subject)
            present = _same(connection, row.id, hashlib.sha256(schema_json).digest())
        return None if present is None else _version(row.name, present)

    def add_version(
        self,
        tenant: str,
        subject: str,
        schema_json: bytes,
        *,
        after: tuple[int, int] | None = None,
        actor: Actor,
    ) -> SchemaVersion:
        """Add a version; the same bytes again return the version that has them.

        Compatibility is the caller's to check first: `after` is what it was checked against, (version of the subject,
        newest number, 0 = none). Raises `Refused`: not_found, body_too_large past 2 MiB, precondition_failed when
        either has moved on.
        """
        if len(schema_json) > MAX_SCHEMA_BYTES:
            raise Refused(Reason.BODY_TOO_LARGE, f"a schema has at most {MAX_SCHEMA_BYTES} bytes")
        digest = hashlib.sha256(schema_json).digest()
        rows = SCHEMA_VERSIONS.c
        with self.rim.database.change() as connection:
            row = find(connection, SUBJECTS, tenant, subject)
            present = _same(connection, row.id, digest)
            if present is not None:
                return _version(row.name, present)
            last = connection.execute(select(func.max(rows.number)).where(rows.subject_id == row.id)).scalar()
            number = int(last or 0) + 1
            if after is not None and after != (row.version, number - 1):
                raise Refused(Reason.PRECONDITION_FAILED, f"subject {row.name!r} has changed meanwhile: try again")
            added = connection.execute(
                insert(SCHEMA_VERSIONS)
                .values(
                    subject_id=row.id,
                    number=number,
                    digest=digest,
                    text=schema_json,
                    created_at_ms=self.rim.now_ms(),
                )
                .returning(*rows)
            ).one()
            fields = (FieldChange(f"/versions/{number}", None, f"sha256:{digest.hex()}"),)
            self._log(connection, row, actor, Op.UPDATED, fields)
        return _version(row.name, added)

    def versions(self, tenant: str, subject: str, page: PageRequest) -> Page[SchemaVersion]:
        """Return the versions of a subject, ascending; raises `Refused(not_found)`."""
        rows = SCHEMA_VERSIONS.c
        with self.rim.database.read() as connection:
            row = find(connection, SUBJECTS, tenant, subject)
            query = select(SCHEMA_VERSIONS).where(rows.subject_id == row.id)
            return page_of(
                connection, query, rows.number, rows.subject_id, page, lambda found: _version(row.name, found)
            )

    def latest(self, tenant: str, subjects: Sequence[str]) -> dict[str, int]:
        """Return the newest version number of each of these subjects; 0 where there is none yet."""
        query = (
            select(SUBJECTS.c.name, func.max(SCHEMA_VERSIONS.c.number))
            .join(SCHEMA_VERSIONS, SCHEMA_VERSIONS.c.subject_id == SUBJECTS.c.id)
            .where(SUBJECTS.c.tenant_id == tenant, SUBJECTS.c.name.in_(subjects))
            .group_by(SUBJECTS.c.name)
        )
        with self.rim.database.read() as connection:
            found = {name: int(number) for name, number in connection.execute(query)}
        return {name: found.get(name, 0) for name in subjects}

    def get_version(self, tenant: str, subject: str, number: int) -> SchemaVersion:
        """Return one version; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            row = find(connection, SUBJECTS, tenant, subject)
            query = select(SCHEMA_VERSIONS).where(SCHEMA_VERSIONS.c.subject_id == row.id)
            found = connection.execute(query.where(SCHEMA_VERSIONS.c.number == number)).first()
        if found is None:
            raise Refused(Reason.NOT_FOUND, f"subject {row.name!r} has no version {number}")
        return _version(row.name, found)

    def delete(self, tenant: str, subject: str, *, if_match: int | None = None, actor: Actor) -> None:
        """Remove a subject with its versions. Raises `Refused`: not_found, precondition_failed, in_use (pinned)."""
        with self.rim.database.change() as connection:
            row = find(connection, SUBJECTS, tenant, subject)
            expect(row, if_match)
            _unpinned(connection, tenant, row.name)
            connection.execute(delete(SUBJECTS).where(SUBJECTS.c.id == row.id))
            self._log(connection, row, actor, Op.DELETED, diff(_record(row).definition.to_wire(), None))

    def _log(
        self, connection: Connection, row: Row[Any], actor: Actor, op: Op, fields: tuple[FieldChange, ...]
    ) -> None:
        entity = ("subject", row.id, row.name)
        self.rim.changes.append(connection, actor, entity, op, tenant=row.tenant_id, version=row.version, fields=fields)


def _version(subject: str, row: Row[Any]) -> SchemaVersion:
    return SchemaVersion(subject, row.number, row.created_at_ms, bytes(row.text))


def _same(connection: Connection, subject_id: str, digest: bytes) -> Row[Any] | None:
    rows = SCHEMA_VERSIONS.c
    query = select(SCHEMA_VERSIONS).where(rows.subject_id == subject_id, rows.digest == digest)
    return connection.execute(query).first()


def _unpinned(connection: Connection, tenant: str, subject: str) -> None:
    for row in connection.execute(select(SOURCES.c.name, SOURCES.c.definition).where(SOURCES.c.tenant_id == tenant)):
        pins = SourceDefinition.model_validate_json(row.definition).pins
        if any(pin.rpartition("@")[0] == subject for pin in pins.values()):
            raise Refused(Reason.IN_USE, f"source {row.name!r} pins subject {subject!r}: remove the pin first")


def _record(row: Row[Any]) -> Record[SubjectDefinition]:
    definition = SubjectDefinition.model_validate_json(row.definition)
    return Record(row.id, row.tenant_id, row.name, row.version, row.created_at_ms, row.updated_at_ms, definition)
