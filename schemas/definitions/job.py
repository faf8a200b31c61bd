"""Jobs: heavy work asked over REST, claimed with a lease by the process that owns the data (spec section 5)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

REDRIVE = "streams.redrive"
"""The kind of job that redrives what is in quarantine."""
DRY_RUN = "streams.dry_run"
"""The kind of job that tries a schema over the newest raw events."""
DELETE_TENANT = "tenants.delete"
"""The kind of job that deletes a tenant, step by step (rule 25); led by a process of the writers."""
FORGET = "streams.forget"
"""`streams.forget.{group}`: one worker group forgets what it remembers of a deleted tenant's events."""
DROP_TABLES = "sinks.drop_tables"
"""The kind of job that drops all tables of a deleted tenant."""

SWEEP_TABLE = "sinks.sweep_table"
"""The kind of job that looks for files of a table that nothing refers to, and may delete them."""


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """One job; `kind` says who claims it (`streams.redrive`, `sinks.drop_table`), `result` is its answer or error."""

    id: str
    tenant_id: str
    kind: str
    arguments: dict[str, Any]
    state: JobState
    progress: float
    result: dict[str, Any] | None
    created_at_ms: int
    updated_at_ms: int
    attempts: int
