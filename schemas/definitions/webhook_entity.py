"""The webhook as an answer shows it, and as a client may send it back; its published JSON Schema.

Lives here: the model and the schema's text. The schema's file is webhook.schema.json beside it, written by
`python -m schemas.definitions.webhook_entity`; a test compares the two. https://json-schema.org/draft/2020-12
"""

from pathlib import Path
from typing import Any

import orjson
from pydantic import Field
from pydantic.json_schema import JsonSchemaValue

from schemas.definitions.base import Definition
from schemas.definitions.webhook import WebhookDefinition, WebhookStatus

FILE = Path(__file__).parent / "webhook.schema.json"
_READ_ONLY: JsonSchemaValue = {"readOnly": True}


class FailureDetailsEntity(Definition):
    """What went wrong last; times in ms since the epoch."""

    last_failed_at: int | None = Field(default=None, strict=True)
    last_failed_status_code: int | None = Field(default=None, strict=True)
    last_failed_reason: str | None = None
    next_attempt: int | None = Field(default=None, strict=True)


class FieldChangeEntity(Definition):
    """One changed member, dotted; a value that is not there: there was or is none."""

    name: str
    old_value: Any = None
    new_value: Any = None


class ChangeDescriptionEntity(Definition):
    """What changed from the version before."""

    fields_added: tuple[FieldChangeEntity, ...] = ()
    fields_updated: tuple[FieldChangeEntity, ...] = ()
    fields_deleted: tuple[FieldChangeEntity, ...] = ()
    previous_version: float | None = Field(default=None, strict=True)


class WebhookEntity(WebhookDefinition):
    """An outbound webhook. Members that are read only are taken when they say what stands, and refused otherwise."""

    id: str | None = Field(default=None, json_schema_extra=_READ_ONLY)
    fully_qualified_name: str | None = Field(default=None, json_schema_extra=_READ_ONLY)
    status: WebhookStatus | None = Field(default=None, json_schema_extra=_READ_ONLY)
    failure_details: FailureDetailsEntity | None = Field(default=None, json_schema_extra=_READ_ONLY)
    version: float | None = Field(default=None, strict=True, json_schema_extra=_READ_ONLY)
    updated_at: int | None = Field(default=None, strict=True, json_schema_extra=_READ_ONLY)
    updated_by: str | None = Field(default=None, json_schema_extra=_READ_ONLY)
    href: str | None = Field(default=None, json_schema_extra=_READ_ONLY)
    change_description: ChangeDescriptionEntity | None = Field(default=None, json_schema_extra=_READ_ONLY)
    deleted: bool | None = Field(default=None, strict=True, json_schema_extra=_READ_ONLY)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the entity: self-contained, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "The server also refuses headers that are its own, a header named twice in other case, an "
        "extension past its depth and size, and what it does not allow as an endpoint.",
        **WebhookEntity.model_json_schema(mode="validation"),
    }


def text() -> bytes:
    """Return the file's content."""
    return orjson.dumps(schema(), option=orjson.OPT_INDENT_2) + b"\n"


if __name__ == "__main__":
    FILE.write_bytes(text())
