"""One call as a handler sees it, and its answer: no HTTP server types past this point."""

import asyncio
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from ingress.api import paging
from ingress.api.env import ApiEnv
from schemas.backing.registry import Actor, PageRequest
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.view import KeyView
from schemas.errors import Refused
from schemas.reasons import Reason

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound=Definition)
E = TypeVar("E", bound=StrEnum)
MAX_ID = 128
HEAVY = 2
"""Calls at a time that compute for long (verify)."""
PATIENT = 8
"""Calls at a time that wait for another process (the test of a webhook)."""


class Threads:
    """The bounded pool in which blocking calls (registry, topics) run.

    `heavy` is held by calls that compute, `patient` by those that wait for another process.
    """

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="api")
        self.heavy = asyncio.Semaphore(HEAVY)
        self.patient = asyncio.Semaphore(PATIENT)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in the pool and return what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, functools.partial(call, *args, **kwargs))

    def close(self) -> None:
        """End the pool; calls that wait are dropped, and one that hangs keeps nobody from the rest of the end."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated call. `tenant` is "" on a server-wide route that names none; `value` is the body as JSON.

    `if_match`: the versions that the caller allows, None = any; `create_only`: PUT must not replace.
    """

    env: ApiEnv
    threads: Threads
    key: KeyView
    actor: Actor
    tenant: str
    path: Mapping[str, str]
    query: Mapping[str, Any]
    raw: bytes = field(default=b"", repr=False)
    value: Any = field(default=None, repr=False)
    body: Definition | None = field(default=None, repr=False)
    if_match: frozenset[int] | None = None
    create_only: bool = False

    def given(self, model: type[D]) -> D:
        """Return the body as the model that the route takes."""
        if not isinstance(self.body, model):
            raise TypeError(f"this route does not take a {model.__name__}")
        return self.body

    def named(self, parameter: str) -> str:
        """Return a path parameter that may name an object; raise `Refused(not_found)` for what never could."""
        value = self.path[parameter]
        if len(value) > MAX_ID or not value.isascii() or not value.isprintable():
            raise Refused(Reason.NOT_FOUND, f"{parameter}: no object has such a name")
        return value

    def may(self, permission: Permission) -> bool:
        """Tell whether the caller's key holds a permission."""
        return permission in self.key.permissions

    def chosen(self, name: str, values: type[E]) -> E | None:
        """Return the member of an enumeration that a query parameter names, None without one; bad_request otherwise."""
        text = self.query.get(name)
        try:
            return None if text is None else values(text)
        except ValueError:
            raise Refused(Reason.BAD_REQUEST, f"query parameter {name}: one of {', '.join(values)}") from None

    @property
    def page(self) -> PageRequest:
        """Return the page asked for."""
        return PageRequest(self.limit, self.cursor)

    @property
    def limit(self) -> int:
        """Return the page size asked for."""
        return int(self.query.get("limit", paging.DEFAULT_LIMIT))

    @property
    def cursor(self) -> str | None:
        """Return the cursor asked for."""
        value = self.query.get("cursor")
        return None if value is None else str(value)

    def expected(self, version: int) -> int:
        """Return `version` if the caller allows it; raise `Refused(precondition_failed)` otherwise."""
        if self.if_match is not None and version not in self.if_match:
            raise Refused(Reason.PRECONDITION_FAILED, f"the object is at version {version}: read it again")
        return version


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers: a JSON value (None = no body); `version` makes an ETag; `status` overrides the route's.

    `secret`: the body shows something once, so it is never stored for an Idempotency-Key in the clear.
    """

    body: Any = None
    status: int | None = None
    version: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: bool = False
