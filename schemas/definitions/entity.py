"""An object of the registry as entity events tell of it: what it is now, whatever kind it has.

Lives here: the value that schemas/backing/registry/objects/entities.py reads. What is told of it: sinks/notify/feeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entity:
    """One object; `type` in the words of the log of changes, `definition` its JSON as stored, without secrets.

    `version` as REST shows it; `updated_by` None = not kept.
    """

    type: str
    id: str
    tenant_id: str | None
    name: str
    version: float
    updated_at_ms: int
    definition: Mapping[str, Any] = field(default_factory=dict)
    updated_by: str | None = None
    deleted: bool = False
