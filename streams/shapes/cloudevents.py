"""CloudEvents over HTTP: attributes in headers (binary), one event in the body (structured), several (batched).

Lives here: which of the three a request is and what its body must be. Not here: what an event says
(schemas/vendors/cloudevents.py). https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/http-protocol-binding.md
"""

from collections.abc import Mapping
from typing import Any

import orjson

from schemas.errors import Poison
from schemas.reasons import Reason
from schemas.vendors.cloudevents import attributes
from streams.split import Item, item

_REQUIRED = ("ce-id", "ce-source", "ce-specversion", "ce-type")


def is_binary(headers: Mapping[str, str]) -> bool:
    """Tell whether the headers name a CloudEvent: all four attributes that each has."""
    return all(headers.get(name) for name in _REQUIRED)


def around(headers: Mapping[str, str]) -> bytes:
    """Return the attributes of a binary event as a JSON object: what stands around its data."""
    return orjson.dumps(attributes(headers))


def whole(text: bytes, value: Any, headers: Mapping[str, str]) -> tuple[Item, ...]:  # noqa: ANN401 JSON
    """Return the one item of a binary event: its data is one value, an array too."""
    made = item(0, text.strip(), value)
    made.envelope = around(headers)
    return (made,)


def check(value: Any, *, batch: bool) -> None:  # noqa: ANN401 JSON
    """Raise `Poison(not_parseable)` for a body that is not what its content type says."""
    if not isinstance(value, list if batch else dict):
        wanted = "a JSON array of events" if batch else "one JSON object"
        raise Poison(Reason.NOT_PARSEABLE, f"the content type says that the body is {wanted}, and it is not")


def without_attributes(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers without `ce-` ones: where the body holds the events, they say nothing."""
    return {name: value for name, value in headers.items() if not name.startswith("ce-")}
