"""One JSON Schema, compiled with jsonschema-rs: options are fixed here, so a pin means the same in every process.

Lives here: compile, validate, refuse. May not live here: which schema an event is checked against (the stage's pins),
bounds on schemas (bounds.py). Formats are annotations (JSON Schema 2020-12, validation, section 7.2.1) unless the
subject says that they are asserted. https://docs.rs/jsonschema
"""

import json
from typing import Any

import jsonschema_rs
import orjson

from schemas.contracts import bounds
from schemas.contracts.places import pointer
from schemas.errors import Refused
from schemas.reasons import Reason

MAX_MESSAGE = 500
_BACKTRACKING = 100_000
"""Steps of one pattern: a schema whose pattern explodes fails the event, it does not stop the worker."""
_PATTERN_BYTES = 10 << 20
"""Of one compiled pattern: what `[\\p{L}_]{0,127}` takes, and no more than that by much."""
PATTERNS = jsonschema_rs.FancyRegexOptions(
    backtrack_limit=_BACKTRACKING, size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES
)
_MASK = "\ufdd0value\ufdd1"
"""Stands for the event's value in the validator's words: noncharacters, so that no schema's text is taken for it."""
_KINDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


class Asserted(bytes):
    """The text of a schema whose subject asserts formats: what a snapshot holds in place of plain bytes."""


class Contract:
    """A compiled schema; safe to use from several threads."""

    __slots__ = ("_validator",)

    def __init__(self, validator: Any) -> None:  # noqa: ANN401 jsonschema_rs has one class a draft
        self._validator = validator

    def validate(self, value: Any) -> tuple[str, str] | None:  # noqa: ANN401 JSON
        """Return None when `value` fits, else (JSON pointer, message) of the first fault. Never raises on JSON.

        The message names the kind of what was found and never the value itself; names of members it may name.
        """
        try:
            if self._validator.is_valid(value):
                return None
            for fault in self._validator.iter_errors(value):
                message = fault.message.replace(_MASK, _KINDS.get(type(fault.instance), "a number"))
                return pointer(fault.instance_path), message[:MAX_MESSAGE]
        except ValueError as exc:
            return "", f"the schema cannot judge this value: {exc}"[:MAX_MESSAGE]
        return None


def read_schema(schema_json: bytes) -> dict[str, Any] | bool:
    """Read a schema within its bounds; raise `Refused`: invalid_definition, body_too_large."""
    bounds.check_text(schema_json)
    try:
        schema = orjson.loads(memoryview(schema_json))  # it takes no subclass of bytes
    except ValueError as exc:
        raise Refused(Reason.INVALID_DEFINITION, f"the schema is not JSON: {exc}") from exc
    if not isinstance(schema, dict | bool):
        raise Refused(Reason.INVALID_DEFINITION, "a JSON Schema is an object or a boolean")
    bounds.check(schema)
    return schema


def compile_schema(schema_json: bytes) -> Contract:
    """Compile a schema; raise `Refused(invalid_definition)` when it is unusable or refers to a remote document.

    Formats are asserted where the text is `Asserted`.
    """
    schema = read_schema(schema_json)
    try:
        return Contract(
            jsonschema_rs.validator_for(
                schema,
                validate_formats=isinstance(schema_json, Asserted),
                offline=True,
                mask=_MASK,
                pattern_options=PATTERNS,
            )
        )
    except (ValueError, jsonschema_rs.ReferencingError) as exc:
        shown = json.dumps(getattr(exc, "instance", None))[:MAX_MESSAGE]
        message = (getattr(exc, "message", "") or str(exc)).replace(_MASK, shown)[:MAX_MESSAGE]
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
