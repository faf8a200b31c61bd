"""The base of every definition: camelCase on the wire, frozen, unknown fields refused."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from schemas.errors import Refused
from schemas.reasons import Reason

TAG = "#"
"""How the tags of a union of definitions begin: they are no part of a pointer."""


class Definition(BaseModel):
    """A frozen model whose JSON members are camelCase and whose unknown members are errors."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON form, every member present."""
        return self.model_dump(mode="json", by_alias=True)


D = TypeVar("D", bound=Definition)


def read(model: type[D], value: Any) -> D:  # noqa: ANN401 JSON
    """Make a definition from JSON; raise `Refused(invalid_definition)` with a (pointer, message) per fault.

    A `Refused` raised by a validator (a bad name, an unsupported value) keeps its own reason.
    """
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise _refused(exc) from None


_WORDS = {
    "extra_forbidden": "this field is not known here",
    "missing": "this field is missing",
    "too_short": "needs at least {min_length}",
    "too_long": "takes at most {max_length}",
    "string_too_short": "needs at least {min_length} characters",
    "string_too_long": "takes at most {max_length} characters",
    "string_type": "must be a text",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "string_pattern_mismatch": "does not fit {pattern}",
}
"""Our words for pydantic's faults, by their type; the others speak for themselves."""


def _refused(exc: ValidationError) -> Refused:
    faults = []
    for fault in exc.errors(include_url=False, include_input=False):
        pointer = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in fault["loc"]
                          if not str(part).startswith(TAG))  # fmt: skip
        context = fault.get("ctx", {})
        words = _WORDS.get(fault["type"])
        faults.append((pointer, words.format(**context) if words else str(context.get("error") or fault["msg"])))
    detail = "; ".join(f"{pointer or '/'}: {message}" for pointer, message in faults[:5])
    return Refused(Reason.INVALID_DEFINITION, detail, errors=tuple(faults[:50]))
