"""The change: one row of the registry's log, which is audit trail, outbox and revision in one (rule 23).

`revision` grows by one with every change, in the transaction of the change itself; views poll it, notify reads it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Op(StrEnum):
    """What happened to the entity."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One changed member: JSON pointer, old and new value (None = absent); secrets appear as "***"."""

    pointer: str
    old: Any = None
    new: Any = None


@dataclass(frozen=True, slots=True)
class Change:
    """One row; `at_ms` since the epoch, `actor` the key id (or "system"), `version` the entity's after the change."""

    revision: int
    tenant_id: str | None
    entity_type: str
    entity_id: str
    entity_name: str
    op: Op
    version: int
    at_ms: int
    actor: str
    request_id: str | None = None
    fields: tuple[FieldChange, ...] = field(default=())

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON form that `/audit` answers and notify reads."""
        return {
            "revision": self.revision,
            "tenantId": self.tenant_id,
            "entityType": self.entity_type,
            "entityId": self.entity_id,
            "entityName": self.entity_name,
            "op": self.op.value,
            "version": self.version,
            "at": self.at_ms,
            "actor": self.actor,
            "requestId": self.request_id,
            "fields": [{"pointer": f.pointer, "old": f.old, "new": f.new} for f in self.fields],
        }
