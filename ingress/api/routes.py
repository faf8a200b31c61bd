"""A route: one line from which both the server's handler and the OpenAPI operation are made, so they cannot differ.

Lives here: the shapes only. The table itself is in table.py, the lines beside their handlers in resources/.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel

from ingress.api import merge_patch
from ingress.api.call import Answer, Call
from schemas import names
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.reasons import Reason

PREFIX = "/api/v1"
MAX_LINE_BYTES = 32 << 10
"""A request line of the server; one that uses every parameter of a route to its documented length is shorter."""
Handler = Callable[[Call], Awaitable[Answer]]


class Scope(StrEnum):
    """What a call acts on: one tenant's objects, or the server's (then a tenant only narrows)."""

    TENANT = "tenant"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Query:
    """One query parameter; `maximum` bounds an integer, or the length of a string."""

    name: str
    kind: Literal["string", "integer", "boolean"]
    doc: str
    minimum: int = 0
    maximum: int = 256


@dataclass(frozen=True, slots=True)
class Route:
    """One call; `{uuid}` in its path takes that shape alone, so that paths of entities and of ingest never meet.

    `takes` is the body's model (for PATCH the model that the merged object must meet).
    `many` > 0: or an array of up to so many of it, which the handler reads itself.
    `answers` is the body's model for `status`, None = no body; `also` further successes; `refusals` what this call can
    answer besides what every call can; `permission` None = any key will do; `patches`: media types that a PATCH takes.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    summary: str
    permission: Permission | None
    answers: type[BaseModel] | None
    status: int = 200
    takes: type[Definition] | None = None
    many: int = 0
    body_optional: bool = False
    query: tuple[Query, ...] = ()
    scope: Scope = Scope.TENANT
    refusals: tuple[Reason, ...] = ()
    also: Mapping[int, type[BaseModel] | None] = field(default_factory=dict)
    example: Any = None
    patches: tuple[str, ...] = (merge_patch.MEDIA_TYPE,)

    @property
    def server_path(self) -> str:
        """Return the path as the server matches it."""
        return PREFIX + self.path.replace("{uuid}", "{uuid:" + names.UUID + "}")

    @property
    def operation(self) -> str:
        """Return the operation id: the handler's name in camelCase."""
        head, *rest = self.handler.__name__.split("_")
        return head + "".join(part.capitalize() for part in rest)

    @property
    def tag(self) -> str:
        """Return the resource: the first part of the path."""
        return self.path.split("/")[1]
