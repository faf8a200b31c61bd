"""Schema subjects and their immutable versions (spec section 5)."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from schemas import names
from schemas.definitions.base import Definition

MAX_SCHEMA_BYTES = 2 << 20


class SubjectDefinition(Definition):
    """What `POST /schemas` takes: a subject and how its versions must relate."""

    subject: Annotated[str, AfterValidator(names.subject)]
    description: str = Field(default="", max_length=2000)
    compatibility: Literal["none", "backward", "forward", "full"] = "none"


class SchemaVersionDefinition(Definition):
    """What `POST /schemas/{subject}/versions` takes: one JSON Schema (drafts 4 to 2020-12)."""

    json_schema: dict[str, Any] = Field(alias="schema")
