"""Before the first process: the database, the tenant `default`, the first admin key.

Lives here: what `hookberg migrate` does, and what `hookberg up` does by itself before it starts the processes.
"""

import asyncio
from collections.abc import Mapping

from deploy.processes.clock import SystemClock
from schemas import settings
from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.definitions.key import PREFIX, KeyDefinition, Permission
from schemas.errors import ConfigurationError, Refused
from schemas.reasons import Reason

LEAST_KEY = len(PREFIX) + 43
"""`hbk_` and 256 bits in URL-safe base64."""


async def prepare(environ: Mapping[str, str]) -> None:
    """Do what `migrate` does with the settings in `environ`, in a thread."""
    given = settings.load(settings.MigrateSettings, settings.KNOWN, environ)
    await asyncio.to_thread(migrate, given)


def migrate(given: settings.MigrateSettings) -> int:
    """Upgrade the registry's database; make the default tenant and the admin key when they are given.

    Returns the registry's revision; may be run again. Raises ConfigurationError.
    """
    registry = Registry(
        given.registry_url.get_secret_value(),
        vault=Vault.from_settings(given),
        clock=SystemClock(),
        groups=given.groups,
    )
    try:
        registry.migrate()
        if given.default_tenant is not None:
            _tenant(registry, given.default_tenant)
        if (text := _admin_key(given)) is not None:
            definition = KeyDefinition(tenant_id=None, permissions=tuple(Permission), name="admin")
            registry.keys.create_with_text(definition, text, actor=SYSTEM)
        return registry.revision()
    finally:
        registry.close()


def _tenant(registry: Registry, name: str) -> None:
    try:
        registry.tenants.create(name, actor=SYSTEM)
    except Refused as exc:
        if exc.reason not in {Reason.NAME_TAKEN, Reason.TENANT_RETIRED}:
            raise


def _admin_key(given: settings.MigrateSettings) -> str | None:
    text = given.admin_key.get_secret_value() if given.admin_key else None
    if text is None and given.admin_key_file is not None:
        try:
            text = given.admin_key_file.read_text("utf-8").strip()
        except OSError as exc:
            raise ConfigurationError(f"HOOKBERG_ADMIN_KEY_FILE: {exc}") from exc
    if text is not None and (not text.startswith(PREFIX) or len(text) < LEAST_KEY):
        raise ConfigurationError(f"the admin key must be {PREFIX} and at least 43 random URL-safe characters")
    return text
