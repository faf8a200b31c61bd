"""API keys: only their SHA-256 is kept; a revoked key's row is gone, its history is in the change log."""

import base64
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from schemas.backing.registry.changes import diff
from schemas.backing.registry.objects.repository import Rim, alive, page_of
from schemas.backing.registry.record import Actor, Page, PageRequest, Record
from schemas.backing.registry.tables import KEYS
from schemas.definitions.key import PREFIX, KeyDefinition, digest
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import Op

_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """The repository of API keys."""

    rim: Rim

    def create(self, definition: KeyDefinition, *, actor: Actor) -> tuple[Record[KeyDefinition], str]:
        """Make a key of 256 random bits; returns it with its text, which cannot be had again."""
        text = PREFIX + base64.urlsafe_b64encode(self.rim.random_bytes(_BYTES)).decode().rstrip("=")
        with self.rim.database.change() as connection:
            return self._insert(connection, definition, text, actor), text

    def create_with_text(self, definition: KeyDefinition, text: str, *, actor: Actor) -> Record[KeyDefinition]:
        """Make a key whose text is given (the admin key file); returns the present one when it is known."""
        with self.rim.database.change() as connection:
            row = connection.execute(select(KEYS).where(KEYS.c.digest == digest(text))).first()
            return _record(row) if row is not None else self._insert(connection, definition, text, actor)

    def get(self, key_id: str) -> Record[KeyDefinition]:
        """Return a key; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            return _record(_find(connection, key_id))

    def list(self, page: PageRequest, *, tenant: str | None = None) -> Page[Record[KeyDefinition]]:
        """Return keys, oldest first; of one tenant, or all."""
        query = select(KEYS) if tenant is None else select(KEYS).where(KEYS.c.tenant_id == tenant)
        with self.rim.database.read() as connection:
            return page_of(connection, query, KEYS.c.created_at_ms, KEYS.c.id, page, _record)

    def delete(self, key_id: str, *, actor: Actor) -> None:
        """Revoke a key: it stops working with the next snapshot; raises `Refused(not_found)`."""
        with self.rim.database.change() as connection:
            record = _record(_find(connection, key_id))
            connection.execute(delete(KEYS).where(KEYS.c.id == key_id))
            entity = ("key", key_id, record.name)
            self.rim.changes.append(
                connection,
                actor,
                entity,
                Op.DELETED,
                tenant=record.tenant_id,
                version=record.version + 1,
                fields=diff(record.definition.to_wire(), None),
            )

    def _insert(
        self, connection: Connection, definition: KeyDefinition, text: str, actor: Actor
    ) -> Record[KeyDefinition]:
        if definition.tenant_id is not None:
            alive(connection, definition.tenant_id)
        now = self.rim.now_ms()
        row = connection.execute(
            insert(KEYS)
            .values(
                id=self.rim.new_id(),
                tenant_id=definition.tenant_id,
                name=definition.name,
                digest=digest(text),
                definition=definition.model_dump_json(by_alias=True),
                version=1,
                created_at_ms=now,
                updated_at_ms=now,
            )
            .returning(*KEYS.c)
        ).one()
        entity, fields = ("key", row.id, row.name), diff(None, definition.to_wire())
        self.rim.changes.append(connection, actor, entity, Op.CREATED, tenant=definition.tenant_id, fields=fields)
        return _record(row)


def _find(connection: Connection, key_id: str) -> Row[Any]:
    row = connection.execute(select(KEYS).where(KEYS.c.id == key_id)).first()
    if row is None:
        raise Refused(Reason.NOT_FOUND, f"no key {key_id[:80]!r}")
    return row


def _record(row: Row[Any]) -> Record[KeyDefinition]:
    definition = KeyDefinition.model_validate_json(row.definition)
    return Record(row.id, row.tenant_id, row.name, row.version, row.created_at_ms, row.updated_at_ms, definition)
