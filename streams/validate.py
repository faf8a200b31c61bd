"""Event -> verdict against what its source pins: valid, invalid, or not wanted (spec section 7).

Lives here: event-type lists, pins, the unpinned policy. Not here: compiling schemas (schemas/contracts).
Pure: the registry's snapshot and the compiled contracts are passed in.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.contracts import Library
from schemas.definitions.source import matches
from schemas.errors import Refused
from schemas.reasons import Outcome, Reason
from streams.identify import Event
from streams.parse import Fault
from streams.sources import Source


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """`drop` names the outcome of an event that is not wanted; `schema` is what it was checked against."""

    fault: Fault | None = None
    drop: Outcome | None = None
    schema: str | None = None


VALID = Verdict()


def denied(event: Event, source: Source) -> bool:
    """Tell whether the source's lists keep this event out.

    Repositories are compared without case (GitHub's names have none); an event of no repository is none of their
    business: what an organisation or an app sends is ruled by its type alone.
    """
    if source.ruling(event.event_type)[0]:
        return True
    name = _repository(event.item.value) if source.repositories else None
    return name is not None and not any(matches(glob, name.lower()) for glob in source.repositories)


def validate(event: Event, source: Source, schemas: Mapping[tuple[str, str], bytes], contracts: Library) -> Verdict:
    """Judge an event that can be read; total."""
    if event.fault is not None:
        return Verdict(event.fault)
    pin = source.ruling(event.event_type)[1]
    if pin is None:
        return _unpinned(source, event.event_type)
    try:
        contract = contracts.get(schemas, source.tenant, pin)
    except Refused as exc:
        return Verdict(Fault(Reason.UNPINNED, "", f"{pin} cannot be used: {exc.detail}"[:500]), None, pin)
    if contract is None:
        return Verdict(Fault(Reason.UNPINNED, "", f"{pin} is pinned but the registry does not hold it"), None, pin)
    found = contract.validate(event.item.value)
    if found is None:
        return Verdict(None, None, pin)
    return Verdict(Fault(Reason.SCHEMA_VIOLATION, found[0], found[1]), None, pin)


def _unpinned(source: Source, event_type: str) -> Verdict:
    policy = source.unpinned_policy
    if policy == "drop":
        return Verdict(drop=Outcome.DROPPED_UNPINNED)
    if policy == "quarantine":
        return Verdict(Fault(Reason.UNPINNED, "", f"no schema is pinned for event type {event_type!r}"))
    return VALID


def _repository(value: Any) -> str | None:  # noqa: ANN401 JSON
    repository = value.get("repository") if isinstance(value, dict) else None
    name = repository.get("full_name") if isinstance(repository, dict) else None
    return name if isinstance(name, str) else None
