"""What a stream's definition must meet beyond its own shape: topics of its tenant, values this release runs."""

import asyncio
from collections.abc import Iterable

from pydantic.alias_generators import to_camel

from ingress.api.call import Call
from ingress.api.resources.shapes import refuse
from schemas import names, topics
from schemas.definitions.stream import UNSUPPORTED_YET, StreamDefinition, read_topic, resolve
from schemas.definitions.view import StreamView
from schemas.errors import Refused
from schemas.logs import logger
from schemas.reasons import Reason

_READABLE = frozenset({topics.Kind.WEBHOOK, topics.Kind.EVENT})

_CATALOG_S = 3.0
_log = logger("api")


async def refuse_existing_table(call: Call, definition: StreamDefinition) -> None:
    """Raise `Refused(table_exists)` when the catalog has the table and no stream of ours owns it.

    A catalog that is away refuses nothing: the writer looks again before it touches the table.
    """
    mine = [stream for stream in call.env.view.current().streams.values() if stream.tenant == call.tenant]
    if any(s.name == definition.name or s.definition.target_table == definition.target_table for s in mine):
        return  # the registry knows better what is taken
    view = StreamView("", call.tenant, definition.name, 0, definition, "stopped", 0, accept_loss=False, frozen=False)
    try:
        async with asyncio.timeout(_CATALOG_S):
            await call.env.tables.table(view)
    except Refused:
        return
    except Exception as exc:  # noqa: BLE001 the control plane works on without the catalog
        _log.warning("catalog_not_asked", error=type(exc).__name__)
        return
    table = definition.target_table
    raise Refused(
        Reason.TABLE_EXISTS,
        f"table {table} exists and no stream owns it: name another targetTable, or drop the table (after "
        "?dropTable=true wait for the job)",
    )


def resolved(definition: StreamDefinition, tenant: str) -> StreamDefinition:
    """Return the definition with `{tenantId}` filled in; raise `Refused` (unsupported, invalid_definition)."""
    _supported(definition)
    found = tuple(resolve(topic, tenant) for topic in definition.topics)
    read: dict[str, int] = {}
    for index, topic in enumerate(found):
        _own(topic, tenant, f"/topics/{index}")
        first = read.setdefault(read_topic(topic), index)
        if first != index:
            raise refuse(f"/topics/{index}", f"names the same events as /topics/{first}")
    return definition.model_copy(update={"topics": found})


def _supported(definition: StreamDefinition) -> None:
    faults = tuple(
        (f"/{to_camel(name)}", _taken(values))
        for name, values in UNSUPPORTED_YET.items()
        if getattr(definition, name) not in values
    )
    if faults:
        detail = "; ".join(f"{pointer}: {message}" for pointer, message in faults)
        raise Refused(Reason.UNSUPPORTED, detail, errors=faults)


def _taken(values: Iterable[object]) -> str:
    known = [_shown(value) for value in values if value is not None and value != ()]
    return f"this release takes {' or '.join(known)} only" if known else "this release does not take it: leave it out"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value)
    return str(value)


def _own(topic: str, tenant: str, pointer: str) -> None:
    parsed = topics.parse(topic)
    if parsed is None or parsed.kind not in _READABLE:
        raise refuse(pointer, "name a topic as {tenantId}.webhook.PLATFORM or {tenantId}.event.PLATFORM")
    if parsed.tenant != tenant:
        raise refuse(pointer, "a stream reads topics of its own tenant: write {tenantId}")
    try:
        names.platform(parsed.target)
    except Refused as exc:
        raise refuse(pointer, exc.detail) from None
