"""One JSON Schema, compiled with jsonschema-rs: options are fixed here, so a pin means the same in every process.

Lives here: compile, validate, refuse. May not live here: which schema an event is checked against (the stage's pins).
Formats are annotations (JSON Schema 2020-12, validation, section 7.2.1). https://docs.rs/jsonschema
"""

from collections.abc import Iterable
from typing import Any

import jsonschema_rs
import orjson

from schemas.errors import Refused
from schemas.reasons import Reason

MAX_MESSAGE = 500
_BACKTRACKING = 100_000
"""Steps of one pattern: a schema whose pattern explodes fails the event, it does not stop the worker."""


class Contract:
    """A compiled schema; safe to use from several threads."""

    __slots__ = ("_validator",)

    def __init__(self, validator: Any) -> None:  # noqa: ANN401 jsonschema_rs has one class a draft
        self._validator = validator

    def validate(self, value: Any) -> tuple[str, str] | None:  # noqa: ANN401 JSON
        """Return None when `value` fits, else (JSON pointer, message) of the first fault. Never raises on JSON."""
        try:
            if self._validator.is_valid(value):
                return None
            for fault in self._validator.iter_errors(value):
                return pointer(fault.instance_path), fault.message[:MAX_MESSAGE]
        except ValueError as exc:
            return "", f"the schema cannot judge this value: {exc}"[:MAX_MESSAGE]
        return None


def compile_schema(schema_json: bytes) -> Contract:
    """Compile a schema; raise `Refused(invalid_definition)` when it is unusable or refers to a remote document."""
    try:
        schema = orjson.loads(schema_json)
    except ValueError as exc:
        raise Refused(Reason.INVALID_DEFINITION, f"the schema is not JSON: {exc}") from exc
    if not isinstance(schema, dict | bool):
        raise Refused(Reason.INVALID_DEFINITION, "a JSON Schema is an object or a boolean")
    try:
        return Contract(
            jsonschema_rs.validator_for(
                schema,
                validate_formats=False,
                offline=True,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKING),
            )
        )
    except (ValueError, jsonschema_rs.ReferencingError) as exc:
        message = (getattr(exc, "message", "") or str(exc))[:MAX_MESSAGE]
        where = pointer(getattr(exc, "instance_path", ()))
        raise Refused(
            Reason.INVALID_DEFINITION,
            f"the schema cannot be used: {message} (documents outside the schema are never fetched: bundle them "
            f"under `$defs`)",
            errors=((where, message),),
        ) from None


def check_schema(schema_json: bytes) -> None:
    """Raise `Refused(invalid_definition)`, with (pointer, message), when a schema cannot be used as a contract."""
    compile_schema(schema_json)


def pointer(path: Iterable[str | int]) -> str:
    """Return the JSON pointer of a path (RFC 6901); the empty text is the whole value."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
