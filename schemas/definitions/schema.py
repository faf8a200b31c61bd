"""Schema subjects and their immutable versions (spec section 5)."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from schemas import names
from schemas.definitions.base import Definition

MAX_SCHEMA_BYTES = 2 << 20
MAX_CANDIDATE_BYTES = 256 << 10
"""Of a schema that is tried without being added: it stands in the job's arguments."""


class SubjectDefinition(Definition):
    """What `POST /schemas` takes: a subject and how each version must relate to the newest before it.

    `assert_formats`: `format` judges events; it never changes, for it is part of what a version means.
    """

    subject: Annotated[str, AfterValidator(names.subject)]
    description: str = Field(default="", max_length=2000)
    compatibility: Literal["none", "backward", "forward", "full"] = "none"
    assert_formats: bool = False


IMMUTABLE = ("subject", "assertFormats")
"""Members of a subject that never change, as they are called on the wire."""


class SchemaVersionDefinition(Definition):
    """What `POST /schemas/{subject}/versions` takes: one JSON Schema (drafts 4 to 2020-12)."""

    json_schema: dict[str, Any] = Field(alias="schema")


class DryRunDefinition(Definition):
    """What `POST /schemas/{subject}/dry-run` takes: a candidate, or a version by number, over the last raw events.

    Judged are the events of `source` (all of the tenant's when not given) whose type matches `event_type`; without it
    those whose pin names the subject. `last`: raw records looked at, the newest of each topic.
    """

    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    version: int | None = Field(default=None, ge=1, le=999_999_999)
    source: str | None = Field(default=None, min_length=1, max_length=128)
    event_type: str | None = Field(default=None, min_length=1, max_length=256)
    last: int = Field(default=1_000, ge=1, le=20_000)
