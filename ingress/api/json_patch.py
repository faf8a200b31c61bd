"""JSON Patch (RFC 6902), bounded: the library `jsonpatch` does each operation, this file what it may cost.

Lives here: reading operations, applying them one by one, words for what does not fit. Not here: whether the result is
a definition. `copy` can double a document with each operation, so the size is looked at after each.
"""

import copy
from typing import Any

import jsonpatch
import jsonpointer
import orjson

from schemas.errors import Refused
from schemas.reasons import Reason

MEDIA_TYPE = "application/json-patch+json"
MAX_OPERATIONS = 200
MAX_BYTES = 1 << 20
"""Of the document after any operation."""
MAX_COPIED = 4 << 20
"""Bytes that a patch's `copy` operations leave behind, summed: what they cost, whatever is removed in between."""
MAX_POINTER = 2_048
_NEEDS = {"add": ("value",), "remove": (), "replace": ("value",), "move": ("from",), "copy": ("from",),
          "test": ("value",)}  # fmt: skip
_MISSES = (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, LookupError, TypeError, ValueError,
           AttributeError)  # fmt: skip
"""What the library raises where a place is not there, or is of another kind."""


def apply(document: dict[str, Any], operations: list[Any]) -> Any:  # noqa: ANN401 JSON
    """Return the document after the operations, all of them or none; the argument is not changed.

    Raises `Refused`: invalid_definition for operations that are none, patch_conflict for one that does not apply.
    """
    if len(operations) > MAX_OPERATIONS:
        raise _refused("", f"a patch has at most {MAX_OPERATIONS} operations")
    for number, operation in enumerate(operations):
        _check(number, operation)
    found: Any = copy.deepcopy(document)
    copied = 0
    for number, operation in enumerate(operations):
        found = _one(found, number, operation)
        if operation["op"] == "copy":
            copied += _size(found, number)
            if copied > MAX_COPIED:
                raise _refused(f"/{number}", f"the patch copies more than {MAX_COPIED} bytes")
    return found


def _one(document: Any, number: int, operation: dict[str, Any]) -> Any:  # noqa: ANN401 JSON
    kind, path = operation["op"], operation["path"]
    try:
        found = jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
    except jsonpatch.JsonPatchTestFailed:
        raise _conflict(number, f"test {path!r}: the value there is another one, or there is none") from None
    except _MISSES:
        place = f"{operation['from']!r} to {path!r}" if "from" in _NEEDS[kind] else repr(path)
        raise _conflict(number, f"{kind} {place}: there is no such place in the object") from None
    except RecursionError:
        raise _refused(f"/{number}", "the object would nest too deep") from None
    return found


def _size(document: Any, number: int) -> int:  # noqa: ANN401 JSON
    """Return the bytes of a document; raise `Refused(invalid_definition)` past the bound or nested too deep."""
    try:
        size = len(orjson.dumps(document))
    except orjson.JSONEncodeError:
        raise _refused(f"/{number}", "the object would nest too deep") from None
    if size > MAX_BYTES:
        raise _refused(f"/{number}", f"the object would have more than {MAX_BYTES} bytes")
    return size


def _check(number: int, operation: Any) -> None:  # noqa: ANN401 JSON
    at = f"/{number}"
    if not isinstance(operation, dict):
        raise _refused(at, "an operation is an object with `op` and `path`")
    kind = operation.get("op")
    if not isinstance(kind, str) or kind not in _NEEDS:
        raise _refused(f"{at}/op", f"must be one of {', '.join(_NEEDS)}")
    for name in ("path", *_NEEDS[kind]):
        if name not in operation:
            raise _refused(f"{at}/{name}", f"{kind} needs it")
    for name in ("path", "from"):
        if name == "path" or name in _NEEDS[kind]:
            _pointer(f"{at}/{name}", operation[name])


def _pointer(at: str, text: Any) -> None:  # noqa: ANN401 JSON
    if not isinstance(text, str) or len(text) > MAX_POINTER:
        raise _refused(at, f"must be a JSON pointer of at most {MAX_POINTER} characters")
    try:
        jsonpointer.JsonPointer(text)
    except jsonpointer.JsonPointerException:
        raise _refused(at, "is no JSON pointer (RFC 6901): begin with /, write ~ as ~0 and / as ~1") from None


def _refused(pointer: str, message: str) -> Refused:
    return Refused(Reason.INVALID_DEFINITION, f"{pointer or '/'}: {message}", errors=((pointer, message),))


def _conflict(number: int, message: str) -> Refused:
    return Refused(Reason.PATCH_CONFLICT, f"/{number}: {message}", errors=((f"/{number}", message),))
