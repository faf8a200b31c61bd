"""Where schemas stand inside a schema: which keywords hold one, a list of them, a map of them; JSON pointers.

Lives here: the table that bounds, lowering and comparing share. JSON Schema core, section 10 (applicators):
https://json-schema.org/draft/2020-12/json-schema-core. Pointers: RFC 6901. Pure.
"""

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

ONE = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
MAPS = frozenset({"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"})
IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependencies", "dependentSchemas")
"""Keywords whose schemas judge the same value as the schema that they stand in."""
DEFINITIONS = ("$defs", "definitions")


def pointer(path: Iterable[str | int]) -> str:
    """Return the JSON pointer of a path (RFC 6901); the empty text is the whole value."""
    return "".join(f"/{escape(str(part))}" for part in path)


def escape(part: str) -> str:
    """Return one part of a JSON pointer."""
    return part.replace("~", "~0").replace("/", "~1")


def place(document: Any, reference: str) -> Any:  # noqa: ANN401 JSON
    """Return what a local reference (`#` or `#/...`) names in its document; None for another or for nothing."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    found = document
    for part in unquote(reference).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def inside(keyword: str, value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:  # noqa: ANN401 JSON
    """Yield (path below the keyword, schema) of the schemas that a keyword's value holds."""
    if keyword in LISTS and isinstance(value, list):
        yield from (((index,), member) for index, member in enumerate(value))
    elif keyword in MAPS and isinstance(value, dict):
        yield from (((name,), member) for name, member in value.items() if isinstance(member, dict | bool))
    elif keyword in ONE and isinstance(value, dict | bool):
        yield (), value
