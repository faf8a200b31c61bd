"""Signing secrets of outbound webhooks: encrypted, replaced with a time in which both sign, given to notify alone.

Lives here: the encrypted rows. At most two are alive: the one in use (`expires_at_ms` null) and the one before it.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound_tables import WEBHOOK_SECRETS
from schemas.backing.registry.vault import Vault
from schemas.definitions.view import SecretView
from schemas.definitions.webhook import MASK, WebhookConfig

_S = WEBHOOK_SECRETS.c


def put(
    connection: Connection, rim: Rim, vault: Vault, webhook_id: str, config: WebhookConfig, *, overlap_s: float
) -> bool:
    """Do what a definition says of its secret; tell whether anything changed.

    Not named, or `MASK`: it stays. Null: all go. Another text: it signs from now on, and the one before it for
    `overlap_s` too.
    """
    if "secret_key" not in config.model_fields_set:
        return False
    if config.secret_key is None:
        return bool(connection.execute(delete(WEBHOOK_SECRETS).where(_S.webhook_id == webhook_id)).rowcount)
    text = config.secret_key.get_secret_value()
    current = select(WEBHOOK_SECRETS).where(_S.webhook_id == webhook_id, _S.expires_at_ms.is_(None))
    held = connection.execute(current).first()
    if text == MASK or (held is not None and vault.decrypt(held.ciphertext, held.id) == text.encode()):
        return False
    now = rim.now_ms()
    connection.execute(delete(WEBHOOK_SECRETS).where(_S.webhook_id == webhook_id, _S.expires_at_ms.is_not(None)))
    if overlap_s > 0:
        replaced = update(WEBHOOK_SECRETS).where(_S.webhook_id == webhook_id)
        connection.execute(replaced.values(expires_at_ms=now + round(overlap_s * 1000)))
    else:
        connection.execute(delete(WEBHOOK_SECRETS).where(_S.webhook_id == webhook_id))
    secret_id = rim.new_id()
    ciphertext = vault.encrypt(text.encode(), secret_id)
    connection.execute(
        insert(WEBHOOK_SECRETS).values(id=secret_id, webhook_id=webhook_id, ciphertext=ciphertext, created_at_ms=now)
    )
    return True


def alive(connection: Connection, vault: Vault, now_ms: int) -> Mapping[str, Sequence[SecretView]]:
    """Return the secrets that sign now, by webhook, decrypted, the one in use first."""
    query = select(WEBHOOK_SECRETS).where(or_(_S.expires_at_ms.is_(None), _S.expires_at_ms > now_ms))
    found: dict[str, list[SecretView]] = {}
    for row in sorted(connection.execute(query), key=lambda row: row.expires_at_ms is not None):
        secret = SecretView(row.id, vault.decrypt(row.ciphertext, row.id))
        found.setdefault(row.webhook_id, []).append(secret)
    return found


def has(webhook_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the column that tells whether a webhook signs."""
    return select(_S.id).where(_S.webhook_id == webhook_id, _S.expires_at_ms.is_(None)).exists()
