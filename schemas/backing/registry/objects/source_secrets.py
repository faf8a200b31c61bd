"""Signing secrets of sources: taken from definitions, encrypted, never given out again but to the data plane.

Lives here: resolving `{fromEnv}`, the encrypted rows. `{fromFile}` is refused: the API must not read files here.
"""

import os
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select

from schemas.backing.registry.objects import removed_secrets
from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.record import SecretRecord
from schemas.backing.registry.tables import SOURCE_SECRETS
from schemas.backing.registry.vault import Vault
from schemas.definitions.auth import MAX_SECRET, MAX_SECRETS, Auth, SecretRef
from schemas.errors import Refused
from schemas.reasons import Reason

Resolver = Callable[[SecretRef], bytes]


def from_environment(ref: SecretRef, environ: Mapping[str, str] | None = None) -> bytes:
    """Return the secret that `ref` gives or names in HOOKBERG_SECRET_*; raises `Refused`."""
    if ref.value is not None:
        return ref.value.get_secret_value().encode()
    if ref.from_file is not None:
        raise Refused(Reason.UNSUPPORTED, "auth.secrets: fromFile is not supported by this server; use fromEnv or text")
    if ref.from_env is None:
        raise Refused(Reason.INVALID_DEFINITION, "auth.secrets: give a text or {fromEnv}")
    found = (os.environ if environ is None else environ).get(ref.from_env)
    if not found:
        raise Refused(Reason.INVALID_DEFINITION, f"auth.secrets: {ref.from_env} is not set where this server runs")
    return found.encode()


def resolved(auth: Auth, resolver: Resolver) -> tuple[bytes, ...]:
    """Return the secrets that an auth definition names, each once."""
    return tuple(dict.fromkeys(_bounded(resolver(ref)) for ref in auth.secrets))


def add(connection: Connection, rim: Rim, vault: Vault, source_id: str, value: bytes, *, after_ms: int = 0) -> str:
    """Store a secret; returns its id. `after_ms` orders those of one moment. Raises `Refused(in_use)` past four."""
    held = connection.execute(select(SOURCE_SECRETS.c.id).where(SOURCE_SECRETS.c.source_id == source_id)).all()
    if len(held) >= MAX_SECRETS:
        raise Refused(Reason.IN_USE, f"the source has {MAX_SECRETS} secrets: remove one first")
    secret_id = rim.new_id()
    connection.execute(
        insert(SOURCE_SECRETS).values(
            id=secret_id,
            source_id=source_id,
            ciphertext=vault.encrypt(_bounded(value), secret_id),
            created_at_ms=rim.now_ms() + after_ms,
        )
    )
    return secret_id


def put(connection: Connection, rim: Rim, vault: Vault, source_id: str, values: Sequence[bytes]) -> bool:
    """Make `values` the source's secrets; those it has already keep their ids. Tells whether anything changed."""
    rows = connection.execute(select(SOURCE_SECRETS).where(SOURCE_SECRETS.c.source_id == source_id)).all()
    held = {vault.decrypt(row.ciphertext, row.id): row.id for row in rows}
    for value, secret_id in held.items():
        if value not in values:
            remove(connection, rim, source_id, secret_id)
    for index, value in enumerate(values):
        if value not in held:
            add(connection, rim, vault, source_id, value, after_ms=index)
    return held.keys() != set(values)


def remove(connection: Connection, rim: Rim, source_id: str, secret_id: str) -> None:
    """Remove a secret; it is kept apart for a while (removed_secrets.py). Raises `Refused(not_found)`."""
    removed_secrets.keep(connection, rim, source_id, secret_id)
    gone = delete(SOURCE_SECRETS).where(SOURCE_SECRETS.c.source_id == source_id, SOURCE_SECRETS.c.id == secret_id)
    if connection.execute(gone).rowcount != 1:
        raise Refused(Reason.NOT_FOUND, f"the source has no secret {secret_id[:80]!r}")


def of(connection: Connection, source_id: str, last_used: Mapping[str, int]) -> tuple[SecretRecord, ...]:
    """Return what may be told of a source's secrets, oldest first."""
    query = select(SOURCE_SECRETS.c.id, SOURCE_SECRETS.c.created_at_ms).where(SOURCE_SECRETS.c.source_id == source_id)
    rows = connection.execute(query.order_by(SOURCE_SECRETS.c.created_at_ms, SOURCE_SECRETS.c.id))
    return tuple(SecretRecord(row.id, row.created_at_ms, last_used.get(row.id)) for row in rows)


def _bounded(value: bytes) -> bytes:
    if not 0 < len(value) <= MAX_SECRET:
        raise Refused(Reason.INVALID_DEFINITION, f"a secret has 1 to {MAX_SECRET} bytes")
    return value
