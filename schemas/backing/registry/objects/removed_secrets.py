"""Secrets that were removed from sources: kept encrypted for a while, only to tell that a sender still uses one.

Lives here: keeping and reading them. They never verify anything and are in no snapshot: the diagnosis of a refused
request asks for them (`POST /sources/{id}/verify`). Bounds: KEPT a source, MAX_AGE_MS; they end with their source.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.tables import REMOVED_SECRETS, SOURCE_SECRETS
from schemas.backing.registry.vault import Vault

KEPT = 4
MAX_AGE_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class RemovedSecret:
    """A secret that verifies no longer; `value` never appears in repr."""

    id: str
    value: bytes = field(repr=False)
    removed_at_ms: int


def keep(connection: Connection, rim: Rim, source_id: str, secret_id: str) -> None:
    """Copy a secret that is about to be removed; the oldest ones of its source and those past their age go."""
    row = connection.execute(select(SOURCE_SECRETS).where(SOURCE_SECRETS.c.id == secret_id)).first()
    if row is None or row.source_id != source_id:
        return
    now = rim.now_ms()
    kept = REMOVED_SECRETS
    connection.execute(
        insert(kept).values(id=row.id, source_id=source_id, ciphertext=row.ciphertext, removed_at_ms=now)
    )
    newest = select(kept.c.id).where(kept.c.source_id == source_id)
    newest = newest.order_by(kept.c.removed_at_ms.desc(), kept.c.id.desc()).limit(KEPT)
    connection.execute(delete(kept).where(kept.c.source_id == source_id, kept.c.id.not_in(newest)))
    connection.execute(delete(kept).where(kept.c.removed_at_ms < now - MAX_AGE_MS))


@dataclass(frozen=True, slots=True)
class RemovedSecrets:
    """The repository of removed secrets."""

    rim: Rim
    vault: Vault

    def of(self, source_id: str) -> tuple[RemovedSecret, ...]:
        """Return the secrets that were removed from a source of late, the newest first, decrypted."""
        kept = REMOVED_SECRETS
        since = self.rim.now_ms() - MAX_AGE_MS
        query = select(kept).where(kept.c.source_id == source_id, kept.c.removed_at_ms >= since)
        query = query.order_by(kept.c.removed_at_ms.desc(), kept.c.id.desc()).limit(KEPT)
        with self.rim.database.read() as connection:
            return tuple(
                RemovedSecret(row.id, self.vault.decrypt(row.ciphertext, row.id), row.removed_at_ms)
                for row in connection.execute(query)
            )
