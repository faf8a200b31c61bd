"""Answers to POSTs with an Idempotency-Key, kept for a day so that the same request gets the same answer.

Lives here: look-up and storage. Answers are encrypted, because one may show a secret once.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.tables import IDEMPOTENCY
from schemas.backing.registry.vault import Vault
from schemas.errors import Refused
from schemas.reasons import Reason

KEPT_MS = 86_400_000
MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class SavedAnswer:
    """An answer as it was given."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The repository of answers, by API key and Idempotency-Key."""

    rim: Rim
    vault: Vault

    def begin(self, key_id: str, idem_key: str, request_digest: bytes) -> SavedAnswer | None:
        """Return the saved answer of this request; None when it is new.

        Raises `Refused`: idempotency_mismatch when the key was used with another request, bad_request past 255
        characters.
        """
        if not 0 < len(idem_key) <= MAX_KEY:
            raise Refused(Reason.BAD_REQUEST, f"Idempotency-Key: 1 to {MAX_KEY} characters")
        rows = IDEMPOTENCY.c
        query = select(IDEMPOTENCY).where(rows.key_id == key_id, rows.idem_key == idem_key)
        with self.rim.database.read() as connection:
            row = connection.execute(query.where(rows.created_at_ms > self.rim.now_ms() - KEPT_MS)).first()
        if row is None:
            return None
        if row.request_digest != request_digest:
            raise Refused(Reason.IDEMPOTENCY_MISMATCH)
        kept = orjson.loads(self.vault.decrypt(row.answer, _aad(key_id, idem_key)))
        return SavedAnswer(kept["status"], kept["headers"], kept["body"].encode("utf-8", "surrogateescape"))

    def save(
        self,
        key_id: str,
        idem_key: str,
        request_digest: bytes,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        """Keep an answer for a day; the first one saved stays. Answers older than a day are removed."""
        now = self.rim.now_ms()
        kept = {"status": status, "headers": dict(headers), "body": body.decode("utf-8")}
        statement = (sqlite.insert if self.rim.database.sqlite else postgresql.insert)(IDEMPOTENCY).values(
            key_id=key_id,
            idem_key=idem_key,
            request_digest=request_digest,
            answer=self.vault.encrypt(orjson.dumps(kept), _aad(key_id, idem_key)),
            created_at_ms=now,
        )
        with self.rim.database.write() as connection:
            connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.created_at_ms <= now - KEPT_MS))
            connection.execute(statement.on_conflict_do_nothing())


def _aad(key_id: str, idem_key: str) -> str:
    return f"idempotency:{key_id}:{idem_key}"
