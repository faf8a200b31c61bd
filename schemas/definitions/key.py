"""API keys and their permissions (spec section 5)."""

import hashlib
import secrets
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from schemas import names
from schemas.definitions.base import Definition

PREFIX = "hbk_"
_BYTES = 32


class Permission(StrEnum):
    """What a key may do."""

    INGESTION_WRITE = "ingestion:write"
    STREAMS_READ = "streams:read"
    STREAMS_WRITE = "streams:write"
    SOURCES_READ = "sources:read"
    SOURCES_WRITE = "sources:write"
    SCHEMAS_READ = "schemas:read"
    SCHEMAS_WRITE = "schemas:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    TABLES_READ = "tables:read"
    KEYS_ADMIN = "keys:admin"


class KeyDefinition(Definition):
    """What `POST /keys` takes. `tenantId` None = any tenant, named by `X-Tenant-Id` (an admin key)."""

    tenant_id: Annotated[str, AfterValidator(names.tenant)] | None = None
    permissions: tuple[Permission, ...] = Field(min_length=1, max_length=len(Permission))
    name: str = Field(default="", max_length=200)


class TenantDefinition(Definition):
    """What `POST /tenants` takes."""

    id: Annotated[str, AfterValidator(names.tenant)]


def new_key() -> str:
    """Make a key: `hbk_` and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest(text: str) -> bytes:
    """Return what the registry keeps of a key or URL token: SHA-256; 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
