"""Roles: which events make runs, and for whom (spec section 7).

Lives here: what `POST /roles` takes, the role of an event, the bounds. Not here: matching (streams/roles.py).
A role is `{sourceKind}.{event_type_slug}`, for example `webhook.github.pull_request_opened`.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

from schemas import names
from schemas.definitions.base import Definition
from schemas.definitions.source import matches

KIND = "webhook."
"""What every source kind begins with."""
MAX_ROLE = 200
MAX_ASSIGNMENTS = 200
"""Of a tenant."""
MAX_RUNS = 10
"""Of one event: a delivery of 10,000 items must be decided, with its runs, in a few seconds (streams/README.md)."""
_DOTS = 2
_WILD = re.compile(r"[*?\[]")
_SET = re.compile(r"\[!?\]?[^\]]*\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def role_of(source_kind: str, event_type: str) -> str:
    """Return the role of an event; an event type without a letter or digit of ASCII has the slug `unnamed`."""
    return f"{source_kind}.{names.slug(event_type)}"


def is_glob(role: str) -> bool:
    """Tell whether an assignment's role is a glob (`*`, `?`, `[...]`) and not one role."""
    return _WILD.search(role) is not None


def takes(assigned: str, role: str) -> bool:
    """Tell whether an assignment of `assigned` takes events of `role`; case counts."""
    return matches(assigned, role) if is_glob(assigned) else assigned == role


def most_runs(assigned: Iterable[str]) -> int:
    """Return how many of these assignments an event could meet at most.

    Told by the first part behind `webhook.`, which only globs leave open: those of one part meet no event of another.
    """
    everywhere, globs, plain = 0, Counter[str](), Counter[str]()
    for role in assigned:
        part = _part(role)
        if not is_glob(role):
            plain[role] += 1
        elif part is None:
            everywhere += 1
        else:
            globs[part] += 1
    worst = Counter(globs)
    for role, count in plain.items():
        part = _part(role) or ""
        worst[part] = max(worst[part], globs[part] + count)
    return everywhere + max(worst.values(), default=0)


def _part(role: str) -> str | None:
    """Return the part behind `webhook.` that events of a role have, None where a glob leaves it open."""
    wild = _WILD.search(role)
    parts = (role if wild is None else role[: wild.start()]).split(".")
    return parts[1] if len(parts) > _DOTS else None


def _role(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("a role has no control characters")
    if "[" in _SET.sub("", value):
        raise ValueError("`[` opens a set that `]` must close, for example `webhook.[gs]*`")
    wild = _WILD.search(value)
    literal = value if wild is None else value[: wild.start()]
    if not (literal.startswith(KIND) or (wild is not None and KIND.startswith(literal))):
        raise ValueError(f"no event can have it: roles begin with `{KIND}`, for example `webhook.github.push`")
    if wild is None and value.count(".") < _DOTS:
        raise ValueError("no event can have it: a role is `webhook.{label or platform}.{event_type_slug}`, or a glob")
    if wild is None and value.rpartition(".")[2] != names.slug(value.rpartition(".")[2]):
        raise ValueError("no event can have it: after the last dot stands a slug, a-z 0-9 and _ between them")
    return value


class RoleDefinition(Definition):
    """What `POST /roles` takes: events of this role, or of all roles that a glob takes, make runs for `target`."""

    name: Annotated[str, AfterValidator(lambda value: names.label("role", value))] | None = None
    role: Annotated[str, Field(min_length=1, max_length=MAX_ROLE), AfterValidator(_role)]
    target: Annotated[str, AfterValidator(names.run_target)]
    description: str = Field(default="", max_length=2000)


IMMUTABLE = ("role", "target")
"""A run's id is made of the assignment's: what an assignment means never changes."""
